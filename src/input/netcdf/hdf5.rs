//! HDF5, and so NetCDF-4: its structure is read by a library, its chunks here, one at a time, by whoever wants them.

use std::collections::HashMap;
use std::sync::Arc;

use hdf5_pure::{AttrValue, FormatError, Group, Layout};

use crate::input::DType;
use crate::input::bytes::Bytes;
use crate::input::excerpt::excerpt;
use crate::input::netcdf::attributes::{Attribute, Attributes, OF_RELATIONS, OF_VALUES};
use crate::input::netcdf::filters::Filter;
use crate::input::netcdf::grid::Grid;
use crate::input::netcdf::hdf5_types::{attribute, encoding_of, text};
use crate::input::netcdf::in_file::{Encoding, Kind};
use crate::input::netcdf::scales::{self, Scale};
use crate::input::netcdf::storage::{Chunks, Storage, Stored, Written, element_count};
use crate::input::netcdf::variable::Listed;
use crate::job::{Cause, JobError};

/// The first bytes of such a file, unless it begins with bytes of somebody else's.
pub(super) const MAGIC: &[u8; 8] = b"\x89HDF\r\n\x1a\n";

/// Whoever nests deeper, or has more, is no file of measurements: groups can contain each other.
const DEPTH_MAX: usize = 32;
const OBJECTS_MAX: usize = 100_000;

/// What the netCDF library calls a dimension that has no variable.
const NO_VARIABLE: &str = "This is a netCDF dimension but not a netCDF variable";
/// What it puts before the name of a variable that is called like a dimension and is not its coordinate.
const NO_COORDINATE: &str = "_nc4_non_coord_";

/// A file of HDF5.
pub(super) struct Hdf5 {
    name: String,
    bytes: Arc<Bytes>,
    datasets: Vec<(Listed, hdf5_pure::Dataset)>,
    scales: Vec<Scale>,
}

/// The bytes of a file, as the library wants them.
struct Positioned {
    name: String,
    bytes: Arc<Bytes>,
}

impl hdf5_pure::Source for Positioned {
    fn len(&self) -> u64 {
        self.bytes.len()
    }

    fn read_at(&self, offset: u64, room: &mut [u8]) -> Result<(), FormatError> {
        let end = offset.checked_add(room.len() as u64);
        if end.is_none_or(|end| end > self.bytes.len()) {
            let (expected, available) = (end.unwrap_or(u64::MAX) as usize, self.bytes.len() as usize);
            return Err(FormatError::UnexpectedEof { expected, available });
        }
        self.bytes.read_at(offset, room, &self.name).map_err(|error| FormatError::Source(error.message))
    }
}

impl Hdf5 {
    /// Reads which variables there are.
    pub(super) fn open(name: &str, bytes: Arc<Bytes>) -> Result<Self, JobError> {
        let source = Positioned { name: name.to_owned(), bytes: Arc::clone(&bytes) };
        let file = hdf5_pure::File::from_source(source).map_err(|error| damaged(name, &error))?;
        let mut hdf5 = Self { name: name.to_owned(), bytes, datasets: Vec::new(), scales: Vec::new() };
        let mut groups = 0;
        hdf5.walk(&file.root(), "", 0, &mut groups)?;
        // Newer files list by the hashes of names.
        hdf5.datasets.sort_by_cached_key(|(listed, _)| (listed.path.matches('/').count(), listed.path.clone()));
        Ok(hdf5)
    }

    fn walk(&mut self, group: &Group, prefix: &str, depth: usize, groups: &mut usize) -> Result<(), JobError> {
        *groups += 1;
        if depth > DEPTH_MAX || *groups > OBJECTS_MAX || self.datasets.len() > OBJECTS_MAX {
            return Err(JobError::new(
                Cause::Unsupported,
                format!(
                    "{}: has groups more than {DEPTH_MAX} deep, or more than {OBJECTS_MAX} of them or of variables: copy \
                     what is needed to a file of its own",
                    self.name
                ),
            ));
        }
        for (link, dataset) in group.iter_datasets().map_err(|error| damaged(&self.name, &error))? {
            let variable = link.strip_prefix(NO_COORDINATE).unwrap_or(&link);
            let path = format!("{prefix}{variable}");
            if let Some(listed) = self.listed(path, &dataset, (prefix, variable))? {
                self.datasets.push((listed, dataset));
            }
        }
        for (link, group) in group.iter_groups().map_err(|error| damaged(&self.name, &error))? {
            self.walk(&group, &format!("{prefix}{link}/"), depth + 1, groups)?;
        }
        Ok(())
    }

    /// What to list of a dataset; nothing of one that only stands for a dimension.
    fn listed(
        &mut self,
        path: String,
        dataset: &hdf5_pure::Dataset,
        (group, name): (&str, &str),
    ) -> Result<Option<Listed>, JobError> {
        let wrong = |error: hdf5_pure::Error| self.wrong(&path, &error);
        let attributes = dataset.attrs().map_err(wrong)?;
        let shape = dataset.shape().map_err(wrong)?;
        let is_scale = text(attributes.get("CLASS")).is_some_and(|class| class == "DIMENSION_SCALE");
        if is_scale {
            self.scales.extend(Scale::of(group, name, &shape, &attributes));
        }
        if is_scale && text(attributes.get("NAME")).is_some_and(|name| name.starts_with(NO_VARIABLE)) {
            return Ok(None);
        }
        let mut relations = Attributes::default();
        for name in OF_RELATIONS {
            if let Some(text) = text(attributes.get(name)) {
                relations.insert(name, Attribute::Text(text));
            }
        }
        let datatype = dataset.datatype();
        let encoding = datatype.as_ref().map_err(|error| shortened(&error.to_string())).and_then(encoding_of);
        Ok(Some(Listed {
            shape,
            type_name: match &encoding {
                Ok(encoding) => encoding.kind.name().to_owned(),
                Err(what) => what.clone(),
            },
            is_readable: encoding.is_ok(),
            is_coordinate: is_scale,
            related: relations.related().map(str::to_owned).collect(),
            path,
        }))
    }

    pub(super) fn list(&self) -> Vec<Listed> {
        self.datasets.iter().map(|(listed, _)| listed.clone()).collect()
    }

    /// The variable of this index: how its values lie, and its attributes.
    pub(super) fn load(&self, index: usize) -> Result<(Stored, Attributes), JobError> {
        let (Listed { path, shape, .. }, dataset) = &self.datasets[index];
        let wrong = |error: hdf5_pure::Error| self.wrong(path, &error);
        let datatype = dataset.datatype().map_err(wrong)?;
        let encoding = encoding_of(&datatype)
            .map_err(|what| self.unsupported(path, &format!("holds {what}, not plain numbers: name another one")))?;
        let unwritten = self.unwritten(path, dataset, encoding)?;
        let storage = self.storage(path, shape, dataset, &unwritten)?;
        let is_partly_unwritten = match &storage {
            Storage::Nowhere => element_count(shape) != Some(0),
            Storage::Chunks(chunks) => !chunks.is_written(),
            Storage::Runs { .. } | Storage::Here(_) => false,
        };
        if encoding.kind == Kind::Half && is_partly_unwritten {
            // The library does not tell what such elements are.
            return Err(self.unsupported(path, "holds f16, and a part of it was never written: store it again as f32"));
        }
        let found = dataset.attrs().map_err(wrong)?;
        let is_attached = dataset.attr_datatypes().map_err(wrong)?.contains_key("DIMENSION_LIST");
        let dimensions = scales::dimensions(path, shape, &found, is_attached, &self.scales);
        let attributes = self.attributes(path, dataset, &found)?;
        Ok((Stored { encoding, shape: shape.clone(), dimensions, storage, unwritten }, attributes))
    }

    fn storage(
        &self,
        path: &str,
        shape: &[u64],
        dataset: &hdf5_pure::Dataset,
        unwritten: &[u8],
    ) -> Result<Storage, JobError> {
        let wrong = |error: hdf5_pure::Error| self.wrong(path, &error);
        let element_bytes = unwritten.len() as u64;
        let too_large = || self.place(path, "has more elements than can be counted");
        let len = element_count(shape).ok_or_else(too_large)?;
        let needed = len.checked_mul(element_bytes).ok_or_else(too_large)?;
        if len == 0 {
            return Ok(Storage::Nowhere);
        }
        match dataset.layout().map_err(wrong)? {
            Layout::Compact { size } => {
                let bytes = if size == needed { dataset.read_raw().map_err(wrong)? } else { Vec::new() };
                if bytes.len() as u64 != needed {
                    return Err(self.place(path, &format!("needs {needed} bytes and has {size}: it is damaged")));
                }
                Ok(Storage::Here(bytes))
            }
            Layout::Contiguous { address: None, .. } => {
                // The library knows whether the elements are somewhere else: it refuses to read those.
                dataset.read_raw_rows(0, 0).map_err(wrong)?;
                Ok(Storage::Nowhere)
            }
            Layout::Contiguous { address: Some(first), .. } => {
                if first.checked_add(needed).is_none_or(|end| end > self.bytes.len()) {
                    return Err(self.place(
                        path,
                        &format!(
                            "has {needed} bytes from byte {first} on, beyond the end of the file at {}: the file was cut \
                             short or is damaged",
                            self.bytes.len()
                        ),
                    ));
                }
                Ok(Storage::Runs { first, per_run: len, stride: needed })
            }
            Layout::Chunked { chunk_shape, .. } => self.chunks(path, shape, &chunk_shape, dataset, element_bytes),
            _ => Err(self.unsupported(path, "is virtual, put together from other files: name those")),
        }
    }

    fn chunks(
        &self,
        path: &str,
        shape: &[u64],
        chunk_shape: &[u64],
        dataset: &hdf5_pure::Dataset,
        element_bytes: u64,
    ) -> Result<Storage, JobError> {
        if chunk_shape.len() != shape.len() || chunk_shape.contains(&0) {
            return Err(self.place(path, "has chunks of another number of axes than its own: it is damaged"));
        }
        let uncountable = || self.place(path, "has chunks that are too many or too large to be counted");
        let grid = Grid::new(shape, chunk_shape).ok_or_else(uncountable)?;
        let chunk_bytes = element_count(chunk_shape).and_then(|count| count.checked_mul(element_bytes));
        let chunk_bytes = chunk_bytes.and_then(|bytes| usize::try_from(bytes).ok()).ok_or_else(uncountable)?;
        let filters = self.filters(path, dataset, element_bytes as usize)?;
        let chunks = dataset.chunks().map_err(|error| self.wrong(path, &error))?;
        let mut written = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            // A chunk beyond the ends was cut off when the array was made shorter.
            if chunk.offset.iter().zip(shape).any(|(first, axis)| first >= axis) {
                continue;
            }
            let Some(place) = Grid::place(shape, chunk_shape, &chunk.offset) else {
                return Err(self.place(path, "has a chunk where none can begin: it is damaged"));
            };
            let (address, stored_bytes) = (chunk.address, chunk.storage_size);
            written.push(Written { place, address, stored_bytes, mask: chunk.filter_mask });
        }
        let chunks = Chunks::new(grid, chunk_bytes, filters, written, self.bytes.len());
        chunks.map(Storage::Chunks).map_err(|what| self.place(path, &what))
    }

    fn filters(&self, path: &str, dataset: &hdf5_pure::Dataset, element_bytes: usize) -> Result<Vec<Filter>, JobError> {
        let filter = |filter: &hdf5_pure::Filter| match filter.id {
            1 => Ok(Filter::Deflate),
            2 => {
                let element_bytes = filter.client_data.first().map_or(element_bytes, |bytes| *bytes as usize);
                Ok(Filter::Shuffle { element_bytes })
            }
            3 => Ok(Filter::Fletcher32),
            32000 => Ok(Filter::Lzf),
            id => {
                let name = match (id, &filter.name) {
                    (_, Some(name)) => format!(" ({})", excerpt(name.as_bytes())),
                    (4, _) => " (szip)".to_owned(),
                    (5, _) => " (nbit)".to_owned(),
                    (6, _) => " (scale-offset)".to_owned(),
                    _ => String::new(),
                };
                Err(self.unsupported(
                    path,
                    &format!(
                        "is stored through filter {id}{name}; deflate, shuffle, fletcher32 and lzf are read: store it \
                         again, as with `nccopy -d1 -s` or `h5repack -f GZIP=1`"
                    ),
                ))
            }
        };
        dataset.filter_pipeline().iter().map(filter).collect()
    }

    /// The bytes of an element that was never written.
    fn unwritten(&self, path: &str, dataset: &hdf5_pure::Dataset, encoding: Encoding) -> Result<Vec<u8>, JobError> {
        macro_rules! fill {
            ($type:ty) => {{
                let fill = dataset.fill_value::<$type>().map_err(|error| self.wrong(path, &error))?;
                let bytes = fill.unwrap_or_default().to_ne_bytes().to_vec();
                if encoding.swapped { bytes.into_iter().rev().collect() } else { bytes }
            }};
        }
        Ok(match encoding.kind {
            Kind::Number(DType::F32) => fill!(f32),
            Kind::Number(DType::F64) => fill!(f64),
            Kind::Number(DType::I8) => fill!(i8),
            Kind::Number(DType::I16) => fill!(i16),
            Kind::Number(DType::I32) => fill!(i32),
            Kind::Number(DType::I64) => fill!(i64),
            Kind::Number(DType::U8) => fill!(u8),
            Kind::Number(DType::U16) => fill!(u16),
            Kind::Number(DType::U32) => fill!(u32),
            Kind::Number(DType::U64) => fill!(u64),
            Kind::Half => vec![0; 2],
        })
    }

    fn attributes(
        &self,
        path: &str,
        dataset: &hdf5_pure::Dataset,
        found: &HashMap<String, AttrValue>,
    ) -> Result<Attributes, JobError> {
        let wrong = |error: hdf5_pure::Error| self.wrong(path, &error);
        let mut attributes = Attributes::default();
        let mut is_unread = false;
        for name in OF_VALUES {
            match found.get(name) {
                Some(value) => {
                    if let Some(attribute) = attribute(value) {
                        attributes.insert(name, attribute);
                    }
                }
                None => is_unread = true,
            }
        }
        // An attribute that the library cannot give would silently change what the values are.
        if is_unread {
            let all = dataset.attr_datatypes().map_err(wrong)?;
            if let Some(name) = OF_VALUES.into_iter().find(|name| all.contains_key(*name) && !found.contains_key(*name))
            {
                return Err(self.unsupported(path, &format!("has an attribute `{name}` that cannot be read")));
            }
        }
        Ok(attributes)
    }

    fn place(&self, path: &str, what: &str) -> JobError {
        JobError::bad_input(format!("{}: variable `{}` {what}", self.name, excerpt(path.as_bytes())))
    }

    fn unsupported(&self, path: &str, what: &str) -> JobError {
        JobError::new(Cause::Unsupported, self.place(path, what).message)
    }

    fn wrong(&self, path: &str, error: &hdf5_pure::Error) -> JobError {
        self.place(path, &format!("cannot be read: {}", shortened(&error.to_string())))
    }
}

fn damaged(name: &str, error: &hdf5_pure::Error) -> JobError {
    JobError::bad_input(format!("{name}: cannot be read as HDF5: {}", shortened(&error.to_string())))
}

/// What the library says, on one line and not too long.
fn shortened(message: &str) -> String {
    let line: String = message.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
