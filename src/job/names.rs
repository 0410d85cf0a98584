//! What the jobs of a file are called: by ids, by the numbers of their lines, and all jobs of a line with a matrix together.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::ops::Range;

use crate::job::ids::{Ids, Places};
use crate::job::matrix::{Matrix, Template};

/// Marks the place of the first job of a line with a matrix, where it is found under the name of the line.
const GROUP: u64 = 1 << 39;

/// What the jobs that have been read are called, and where they stand.
#[derive(Debug, Default)]
pub(super) struct Names {
    ids: Ids,
    places: Places,
    /// The lines with a matrix, in their order.
    groups: Vec<Group>,
    key: RandomState,
}

/// The jobs of a line with a matrix. What they are called is not kept for each, but for each value of each field.
#[derive(Debug)]
struct Group {
    first: u64,
    line: u64,
    count: u64,
    /// Empty where the jobs have ids of their own.
    fields: Box<[Field]>,
}

/// A field of a matrix: the hashes of its values, ascending, and their places in its list.
#[derive(Debug)]
struct Field {
    name: Box<str>,
    values: Box<[(u64, u32)]>,
}

impl Group {
    fn new(line: u64, first: u64, template: &Template, key: &RandomState) -> Self {
        let Matrix { fields, count } = &template.matrix;
        let fields = if template.has_own_ids() { &[][..] } else { fields };
        let fields = fields.iter().map(|field| {
            let values = (0..).zip(&field.values).map(|(at, value)| (key.hash_one(&*value.label), at));
            let mut values: Box<[_]> = values.collect();
            values.sort_unstable();
            Field { name: (*field.name).into(), values }
        });
        Self { first, line, count: *count, fields: fields.collect() }
    }

    /// The place of the job whose combination is called so.
    fn place_of(&self, mut label: &str, key: &RandomState) -> Option<u64> {
        let mut place = 0;
        for (i, field) in self.fields.iter().enumerate() {
            label = label.strip_prefix(&*field.name)?.strip_prefix('=')?;
            // No value but the last field's has what follows in it: the matrix was refused otherwise.
            let end = match self.fields.get(i + 1) {
                Some(next) => label.find(&format!(",{}=", next.name))?,
                None => label.len(),
            };
            let hash = key.hash_one(&label[..end]);
            let at = field.values.binary_search_by_key(&hash, |(hash, _)| *hash).ok()?;
            place = place * field.values.len() as u64 + u64::from(field.values[at].1);
            label = label.get(end + 1..).unwrap_or_default();
        }
        (!self.fields.is_empty()).then_some(self.first + place)
    }

    fn range(&self) -> Range<u64> {
        self.first..self.first + self.count
    }
}

impl Names {
    /// The next job, or the first of a line with a matrix, in this place, stands on this line.
    pub fn add_line(&mut self, index: u64, line: u64) {
        self.places.add(index, line);
    }

    /// Takes `id` for the job in this place, or gives the line that has it already.
    pub fn claim(&mut self, id: &str, index: u64) -> Result<(), u64> {
        if let Some(place) = self.in_group(id).filter(|place| *place != index) {
            return Err(self.line_of(place));
        }
        self.ids.claim(id, index).map_err(|first| self.line_of(first & !GROUP))
    }

    /// Takes the name of a line with a matrix, if it has one, for all its jobs, the first of which has this place; or gives
    /// the line that has the name already.
    pub fn claim_group(&mut self, line: u64, first: u64, template: &Template) -> Result<(), u64> {
        if let Some(name) = &template.name {
            self.claim(name, first | GROUP)?;
        }
        self.groups.push(Group::new(line, first, template, &self.key));
        Ok(())
    }

    /// The places of the job with this id, or of all jobs of the line with this name.
    pub fn find(&self, id: &str) -> Option<Range<u64>> {
        if let Some(line) = line_number(id) {
            return self.on_line(line);
        }
        if let Some(found) = self.ids.find(id) {
            let one = || Some(found..found + 1);
            return if found & GROUP == 0 { one() } else { self.group(found & !GROUP).map(Group::range) };
        }
        self.in_group(id).map(|place| place..place + 1)
    }

    /// The line of the job in this place.
    pub fn line_of(&self, index: u64) -> u64 {
        let after = self.groups.partition_point(|group| group.first <= index);
        let group = after.checked_sub(1).map(|at| &self.groups[at]).filter(|group| index < group.first + group.count);
        group.map_or_else(|| self.places.line_of(index), |group| group.line)
    }

    fn on_line(&self, line: u64) -> Option<Range<u64>> {
        let index = self.places.index_on(line, u64::MAX)?;
        // Places know of no groups.
        let range = self.group(index).map_or(index..index + 1, Group::range);
        (self.line_of(index) == line).then_some(range)
    }

    /// The group that begins in this place.
    fn group(&self, first: u64) -> Option<&Group> {
        let at = self.groups.binary_search_by_key(&first, |group| group.first).ok()?;
        Some(&self.groups[at])
    }

    /// The place of the job of a line with a matrix that has this id.
    fn in_group(&self, id: &str) -> Option<u64> {
        if self.groups.is_empty() {
            return None;
        }
        memchr::memchr_iter(b'/', id.as_bytes()).find_map(|at| {
            let (name, label) = (&id[..at], &id[at + 1..]);
            let first = match line_number(name) {
                Some(line) => self.on_line(line)?.start,
                None => self.ids.find(name).filter(|found| found & GROUP != 0)? & !GROUP,
            };
            self.group(first)?.place_of(label, &self.key)
        })
    }
}

/// The number of the line that an id of the form `#12` names.
fn line_number(id: &str) -> Option<u64> {
    let digits = id.strip_prefix('#')?;
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().ok()).flatten()
}
