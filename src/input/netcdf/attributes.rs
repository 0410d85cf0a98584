//! The attributes of a variable that say how its values are to be understood.

use std::collections::BTreeMap;

use crate::input::DType;

/// A number in an attribute, exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Integer(i128),
    /// An `f32` is widened, which changes no value.
    Float(f64),
}

impl Number {
    /// The nearest `f64`.
    pub(super) fn to_f64(self) -> f64 {
        match self {
            Self::Integer(integer) => integer as f64,
            Self::Float(float) => float,
        }
    }
}

/// What an attribute holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Attribute {
    Text(String),
    /// Numbers of one type.
    Numbers(DType, Vec<Number>),
}

impl Attribute {
    /// Numbers of type `T`.
    pub(super) fn of<T: Copy>(dtype: DType, values: &[T], number: impl Fn(T) -> Number) -> Self {
        Self::Numbers(dtype, values.iter().map(|value| number(*value)).collect())
    }
}

/// The attributes of a variable, as far as they say how to read it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Attributes(BTreeMap<String, Attribute>);

/// Those that say how the values are stored.
pub(super) const OF_VALUES: [&str; 8] =
    ["scale_factor", "add_offset", "_FillValue", "missing_value", "valid_range", "valid_min", "valid_max", "_Unsigned"];

/// Those that name other variables, which belong to this one and are no data of their own.
pub(super) const OF_RELATIONS: [&str; 7] =
    ["coordinates", "bounds", "climatology", "grid_mapping", "cell_measures", "formula_terms", "geometry"];

impl Attributes {
    pub(super) fn insert(&mut self, name: &str, attribute: Attribute) {
        self.0.insert(name.to_owned(), attribute);
    }

    /// The numbers of this attribute and their type; none where it is not there, a text, or empty.
    pub(super) fn numbers(&self, name: &str) -> Option<(DType, &[Number])> {
        match self.0.get(name) {
            Some(Attribute::Numbers(dtype, numbers)) if !numbers.is_empty() => Some((*dtype, numbers)),
            _ => None,
        }
    }

    /// The text of this attribute.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(Attribute::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The names of other variables that are mentioned here: words that end with a colon are roles, not names.
    pub(super) fn related(&self) -> impl Iterator<Item = &str> {
        let texts = OF_RELATIONS.iter().filter_map(|name| self.text(name));
        texts.flat_map(str::split_whitespace).filter(|word| !word.ends_with(':'))
    }
}
