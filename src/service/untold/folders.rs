//! The folders of the service itself, which jobs know by the paths of their files.

use std::borrow::Cow;

use crate::service::untold::paths::push_told;
use crate::service::uploads::is_own;

/// The folders of the service itself, each as paths in it begin.
#[derive(Clone, Debug)]
pub(in crate::service) struct OwnFolders {
    pub outputs: String,
    pub uploads: String,
    pub datasets: String,
}

impl OwnFolders {
    /// The text with what clients know: files and datasets by their names.
    pub fn without(&self, text: String) -> String {
        let text = without_folder(text, &self.outputs, |rest| rest.into());
        let text = without_folder(text, &self.uploads, |rest| without_upload(rest).into());
        without_folder(text, &self.datasets, without_version)
    }
}

/// The text without a folder, and without what `shown` leaves out of what comes after it.
fn without_folder(text: String, prefix: &str, shown: impl Fn(&str) -> Cow<'_, str>) -> String {
    if memchr::memmem::find(text.as_bytes(), prefix.as_bytes()).is_none() {
        return text;
    }
    let mut parts = text.split(prefix);
    let mut clean = parts.next().unwrap_or_default().to_owned();
    parts.for_each(|part| push_told(&mut clean, &shown(part)));
    clean
}

/// Of `JOB/FILE`, clients know the file. Nothing goes but what is called as a job's folder: whatever comes behind is not ours.
fn without_upload(rest: &str) -> &str {
    let end = rest.find(|char: char| !char.is_ascii_digit() && char != '-').unwrap_or(rest.len());
    let (folder, behind) = rest.split_at(end);
    if is_own(folder) { behind.strip_prefix('/').unwrap_or(behind) } else { rest }
}

/// Of `NAME/VERSION.csv`, clients know the name.
fn without_version(rest: &str) -> Cow<'_, str> {
    let is_word = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
    let (name, behind) = rest.split_at(rest.find(|char| !is_word(char)).unwrap_or(rest.len()));
    let Some(version) = behind.strip_prefix('/') else { return rest.into() };
    let after = version.trim_start_matches(|char: char| char.is_ascii_digit());
    if after.len() == version.len() {
        return rest.into();
    }
    let ending =
        after.strip_prefix('.').map(|ending| ending.trim_start_matches(|char: char| char.is_ascii_alphanumeric()));
    [name, ending.unwrap_or(after)].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_tell_files_by_their_names_alone() {
        let shown = |text: &str| without_folder(text.to_owned(), "/data/uploads/", |rest| without_upload(rest).into());
        let job = "/data/uploads/1795000000000-7";
        let text = format!(r#"{{"message":"{job}/a.npy: short, {job}/b.npy too"}}"#);
        assert_eq!(shown(&text), r#"{"message":"a.npy: short, b.npy too"}"#);
        // A folder alone, with what is none of ours behind it.
        let text = format!(r#"{{"where":{{"dir":"{job}"}},"mean":1.5,"unit":"mm/s"}}"#);
        assert_eq!(shown(&text), r#"{"where":{"dir":""},"mean":1.5,"unit":"mm/s"}"#);
        assert_eq!(shown(r#"{"a":"/data/uploads/x","b":"c/d"}"#), r#"{"a":"x","b":"c/d"}"#);
        assert_eq!(without_folder("no path".to_owned(), "/data/", |rest| rest.into()), "no path");
        let told = |text: &str| without_folder(text.to_owned(), "/data/datasets/", without_version);
        assert_eq!(told("/data/datasets/t.1/17.csv: line 3, /data/datasets/raw/6"), "t.1: line 3, raw");
        assert_eq!(told("in /data/datasets/t/7.: /data/datasets/t/x.csv"), "in t: t/x.csv");
        assert_eq!(told("file:///data/datasets/page/2.txt"), "file:///page");
        assert_eq!(told(r#"{"a":"/data/datasets/t","b":"c/7"}"#), r#"{"a":"t","b":"c/7"}"#);
    }
}
