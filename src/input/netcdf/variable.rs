//! Which variable of a file is read.

use std::collections::HashSet;

use crate::input::excerpt::excerpt;
use crate::job::JobError;

/// A variable, as a file lists it.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    /// Its name, after those of its groups: `t2m`, `forecast/t2m`.
    pub(super) path: String,
    pub(super) shape: Vec<u64>,
    /// The type of its elements as messages name it.
    pub(super) type_name: String,
    /// Whether that is a type of numbers that can be read.
    pub(super) is_readable: bool,
    /// Whether it is the coordinate of a dimension.
    pub(super) is_coordinate: bool,
    /// The names of variables that belong to it.
    pub(super) related: Vec<String>,
}

impl Listed {
    fn description(&self) -> String {
        format!("{} {}", excerpt(self.path.as_bytes()), self.type_and_shape())
    }

    fn type_and_shape(&self) -> String {
        if self.shape.is_empty() {
            return format!("({}, one value)", self.type_name);
        }
        let axes: Vec<String> = self.shape.iter().map(u64::to_string).collect();
        format!("({} {})", axes.join("×"), self.type_name)
    }
}

/// The index of the variable that is asked for, or of the one that holds the data.
///
/// # Errors
/// With cause `bad_input`, naming what there is.
pub(super) fn choose(name: &str, listed: &[Listed], asked: Option<&str>) -> Result<usize, JobError> {
    match asked {
        Some(asked) => by_name(name, listed, asked),
        None => the_data(name, listed),
    }
}

fn by_name(name: &str, listed: &[Listed], asked: &str) -> Result<usize, JobError> {
    let path = asked.trim_matches('/');
    listed.iter().position(|variable| variable.path == path).ok_or_else(|| {
        let all: Vec<&Listed> = listed.iter().collect();
        JobError::bad_input(format!(
            "{name}: has no variable `{}`; {}",
            excerpt(asked.as_bytes()),
            if all.is_empty() { "it has none at all".to_owned() } else { format!("it has {}", enumeration(&all)) }
        ))
    })
}

fn the_data(name: &str, listed: &[Listed]) -> Result<usize, JobError> {
    // A group's variables name those of their own group, mostly without its path.
    let related: HashSet<String> = listed
        .iter()
        .flat_map(|variable| {
            let group = variable.path.rsplit_once('/').map_or("", |(group, _)| group);
            variable.related.iter().flat_map(move |word| {
                let word = word.trim_matches('/');
                [word.to_owned(), if group.is_empty() { word.to_owned() } else { format!("{group}/{word}") }]
            })
        })
        .collect();
    let data: Vec<usize> = (0..listed.len())
        .filter(|&index| {
            let variable = &listed[index];
            variable.is_readable && !variable.is_coordinate && !related.contains(&variable.path)
        })
        .collect();
    match data[..] {
        [only] => Ok(only),
        [] => {
            let all: Vec<&Listed> = listed.iter().collect();
            let there = if all.is_empty() { "no variable at all".to_owned() } else { enumeration(&all) };
            Err(JobError::bad_input(format!(
                "{name}: has no variable of numbers that is not a coordinate: it has {there}: name one with --var NAME \
                 (`var` in a job file)"
            )))
        }
        _ => {
            let data: Vec<&Listed> = data.into_iter().map(|index| &listed[index]).collect();
            Err(JobError::bad_input(format!(
                "{name}: has {} variables of data: {}: name one with --var NAME (`var` in a job file)",
                data.len(),
                enumeration(&data)
            )))
        }
    }
}

fn enumeration(variables: &[&Listed]) -> String {
    const LISTED_MAX: usize = 30;
    let shown: Vec<String> = variables.iter().take(LISTED_MAX).map(|variable| variable.description()).collect();
    let rest = variables.len().saturating_sub(LISTED_MAX);
    if rest == 0 { shown.join(", ") } else { format!("{} and {rest} more", shown.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(path: &str, is_coordinate: bool, related: &[&str]) -> Listed {
        Listed {
            path: path.to_owned(),
            shape: vec![2, 3],
            type_name: "f32".to_owned(),
            is_readable: true,
            is_coordinate,
            related: related.iter().map(|word| (*word).to_owned()).collect(),
        }
    }

    #[test]
    fn the_only_variable_that_is_data_is_taken_without_being_named() {
        let variables = [
            listed("lat", true, &[]),
            listed("lat_bnds", false, &[]),
            listed("height", false, &[]),
            listed("t2m", false, &["height", "lat_bnds"]),
        ];
        assert_eq!(choose("t.nc", &variables, None), Ok(3));
        assert_eq!(choose("t.nc", &variables, Some("/lat")), Ok(0));
        let grouped = [listed("g/t2m", false, &["crs"]), listed("g/crs", false, &[])];
        assert_eq!(choose("t.nc", &grouped, None), Ok(0));
    }

    #[test]
    fn where_several_are_data_the_error_lists_them_with_shapes_and_types() {
        let variables = [listed("lat", true, &[]), listed("u10", false, &[]), listed("v10", false, &[])];
        let error = choose("t.nc", &variables, None).unwrap_err().message;
        assert!(error.contains("2 variables of data: u10 (2×3 f32), v10 (2×3 f32)"), "{error}");
        assert!(error.contains("--var NAME") && !error.contains("lat"), "{error}");
        let error = choose("t.nc", &variables, Some("w10")).unwrap_err().message;
        assert!(error.contains("no variable `w10`; it has lat (2×3 f32), u10"), "{error}");
        let error = choose("t.nc", &variables[..1], None).unwrap_err().message;
        assert!(error.contains("not a coordinate: it has lat"), "{error}");
    }
}
