//! A variable as a [`Source`]: its values, in the order of the array or in the order in which they are stored.

use std::ops::Range;
use std::sync::Arc;

use crate::input::bytes::Bytes;
use crate::input::netcdf::storage::{Order, Place, Storage, Stored};
use crate::input::netcdf::unpacking::Unpacking;
use crate::input::{DType, Element, Scratch, Source, Values, with_dtype};
use crate::job::JobError;

/// The values of a variable, in the order of the array.
#[derive(Clone, Debug)]
pub(super) struct Variable {
    shared: Arc<Shared>,
    order: Order,
}

#[derive(Debug)]
struct Shared {
    /// The file.
    name: String,
    /// The variable.
    path: String,
    bytes: Arc<Bytes>,
    stored: Stored,
    unpacking: Unpacking,
    len: u64,
}

impl Variable {
    /// The `len` values of the variable `path` of the file `name`.
    pub(super) fn new(
        name: &str,
        path: &str,
        bytes: Arc<Bytes>,
        stored: Stored,
        unpacking: Unpacking,
        len: u64,
    ) -> Self {
        let (name, path) = (name.to_owned(), path.to_owned());
        Self { shared: Arc::new(Shared { name, path, bytes, stored, unpacking, len }), order: Order::OfArray }
    }

    fn read_as<'a, T: Element>(&self, range: Range<u64>, scratch: &'a mut Scratch) -> Result<Values<'a>, JobError> {
        let Shared { name, path, bytes, stored, unpacking, .. } = &*self.shared;
        let room = scratch.slice_mut::<T>((range.end - range.start) as usize);
        let size = stored.unwritten.len();
        let mut done = 0;
        let mut convert = |raw: &[u8]| {
            let count = raw.len() / size;
            unpacking.convert(raw, &mut room[done..done + count]);
            done += count;
        };
        let place = Place { file: name, variable: path };
        stored.storage.read(bytes, range.clone(), self.order, &stored.unwritten, place, &mut convert)?;
        assert_eq!(done as u64, range.end - range.start, "every element is read once");
        Ok(T::wrap(room))
    }
}

impl Source for Variable {
    fn name(&self) -> &str {
        &self.shared.name
    }

    fn dtype(&self) -> DType {
        self.shared.unpacking.dtype
    }

    fn len(&self) -> u64 {
        self.shared.len
    }

    fn read<'a>(&'a self, range: Range<u64>, scratch: &'a mut Scratch) -> Result<Values<'a>, JobError> {
        assert!(range.start <= range.end && range.end <= self.len(), "{range:?} passes the {} elements", self.len());
        with_dtype!(self.dtype(), T => self.read_as::<T>(range, scratch))
    }

    fn check(&self) -> Result<(), JobError> {
        self.shared.bytes.check(&self.shared.name)
    }

    fn as_stored(&self) -> Option<Arc<dyn Source>> {
        let is_chunked = matches!(self.shared.stored.storage, Storage::Chunks(_));
        (is_chunked && self.order == Order::OfArray)
            .then(|| Arc::new(Self { shared: Arc::clone(&self.shared), order: Order::AsStored }) as Arc<dyn Source>)
    }

    fn is_scattered_cheap(&self) -> bool {
        !matches!(self.shared.stored.storage, Storage::Chunks(_))
    }

    fn decoding_ns(&self) -> f64 {
        // An inflated byte takes about two, one that is only converted a fraction of one.
        match &self.shared.stored.storage {
            Storage::Chunks(chunks) if chunks.is_filtered() => 0.5 + 2.0 * self.shared.stored.unwritten.len() as f64,
            _ => 0.5,
        }
    }
}
