//! `stats` along axes: arrays of many shapes in both orders, read in every way there is, each cell against the oracle of its own
//! elements alone.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde_json::value::RawValue;
use tandem::input::{DType, InMemory, Scratch, Shape, Source, Values, concat};
use tandem::job::JobError;
use tandem::kernels::DynKernel;
use tandem::kernels::stats::{Axis, AxisKernel};

use super::data::Hostile;
use super::oracle::{self, Asked};
use super::request;
use crate::random::Random;
use crate::sweep::{Case, Expected, Sweep};

/// Arrays and the axes to go along: at the edges of a group of cells (16), of a tile of them (512), of a block of rows (2048), of runs
/// that are taken as a column is (2048), and of as many cells as are cut between (4096).
const ARRAYS: [(&[u64], &[usize]); 25] = [
    (&[0, 3], &[0]),
    (&[3, 0], &[0]),
    (&[3, 0], &[1]),
    (&[1, 1], &[0]),
    (&[1, 7, 1], &[0, 2]),
    (&[1], &[0]),
    (&[300], &[0]),
    (&[2, 3], &[0]),
    (&[300, 15], &[0]),
    (&[300, 16], &[0]),
    (&[300, 17], &[0]),
    (&[15, 300], &[1]),
    (&[17, 2047], &[1]),
    (&[2049, 3], &[0]),
    (&[4100, 2], &[0]),
    (&[2, 5003], &[1]),
    (&[2, 5003], &[0]),
    (&[9, 513], &[0]),
    (&[7, 16, 33], &[1]),
    (&[7, 16, 33], &[0]),
    (&[7, 16, 33], &[0, 2]),
    (&[7, 16, 33], &[0, 1]),
    (&[3, 2, 4, 50], &[0, 2]),
    (&[3, 20, 4, 5], &[1, 3]),
    (&[50, 7], &[0, 1]),
];

/// A source that decodes what is asked for, as chunked NetCDF is: it lends nothing, and says that elements here and there are dear.
#[derive(Debug)]
struct Decoded<T>(InMemory<T>);

impl<T: Hostile> Source for Decoded<T> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn dtype(&self) -> DType {
        self.0.dtype()
    }

    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read<'a>(&'a self, range: Range<u64>, scratch: &'a mut Scratch) -> Result<Values<'a>, JobError> {
        let room = scratch.slice_mut::<T>((range.end - range.start) as usize);
        let mut unused = Scratch::default();
        room.copy_from_slice(T::unwrap(&self.0.read(range, &mut unused)?).expect("it keeps its type"));
        Ok(T::wrap(room))
    }

    fn is_scattered_cheap(&self) -> bool {
        false
    }
}

/// Every index of an array of this shape, the last axis running fastest.
fn indices(shape: &[u64]) -> Vec<Vec<u64>> {
    shape.iter().fold(vec![Vec::new()], |indices, len| {
        indices.iter().flat_map(|index| (0..*len).map(move |step| [index.as_slice(), &[step]].concat())).collect()
    })
}

/// Nested lists of `texts`, which are in the order of [`indices`].
fn lists(shape: &[u64], texts: &[String]) -> String {
    let Some((len, rest)) = shape.split_first() else { return texts[0].clone() };
    let each = rest.iter().product::<u64>() as usize;
    let list = |step: u64| lists(rest, &texts[step as usize * each..][..each]);
    format!("[{}]", (0..*len).map(list).collect::<Vec<_>>().join(","))
}

/// What the answer is to say: of each cell, what the oracle says of its elements as a column.
fn expected<T: Hostile>(values: &[T], shape: &Shape, along: &[usize], asked: &Asked) -> String {
    let left: Vec<usize> = (0..shape.axes.len()).filter(|axis| !along.contains(axis)).collect();
    let left_shape: Vec<u64> = left.iter().map(|axis| shape.axes[*axis]).collect();
    let mut cells: BTreeMap<Vec<u64>, Vec<oracle::Value>> =
        indices(&left_shape).into_iter().map(|cell| (cell, Vec::new())).collect();
    for index in indices(&shape.axes) {
        let at = |at: u64, axis: usize| at * shape.axes[axis] + index[axis];
        let axes = 0..shape.axes.len();
        let at = if shape.fortran_order { axes.rev().fold(0, at) } else { axes.fold(0, at) };
        let cell: Vec<u64> = left.iter().map(|axis| index[*axis]).collect();
        cells.get_mut(&cell).expect("a cell of the array").push(values[at as usize].value());
    }
    let columns: Vec<BTreeMap<String, Box<RawValue>>> = cells
        .values()
        .map(|cell| oracle::fields(cell, asked, T::LAYOUT.float).expect("moments are of anything"))
        .map(|fields| serde_json::from_str(&format!("{{{fields}}}")).expect("JSON"))
        .collect();
    let elements: u64 = along.iter().map(|axis| shape.axes[*axis]).product();
    let mut json =
        format!("{{\"axes\":{along:?},\"shape\":{left_shape:?},\"elements\":{elements},\"ddof\":{}", asked.ddof)
            .replace(", ", ",");
    for name in ["count", "nan_count", "min", "max", "sum", "mean", "variance", "std"] {
        // Arrays have no null.
        let text = |column: &BTreeMap<String, Box<RawValue>>| match column[name].get() {
            "null" => "\"NaN\"".to_owned(),
            text => text.to_owned(),
        };
        json += &format!(",\"{name}\":{}", lists(&left_shape, &columns.iter().map(text).collect::<Vec<_>>()));
    }
    json + "}"
}

/// The ways to read an array, each with its name: where it lies; several arrays together; decoded; and so that few cells are unfinished
/// at a time.
fn readings<T: Hostile>(
    values: &[T],
    shape: &Shape,
    random: &mut Random,
) -> Vec<(&'static str, Arc<dyn Source>, Option<u64>)> {
    let memory = |values: &[T]| InMemory::new("array", values.to_vec());
    let decoded = |values: &[T]| Arc::new(Decoded(memory(values))) as Arc<dyn Source>;
    // Of 600 bytes there is no second cell, of 20,000 there are some.
    let bytes = *random.pick(&[0, 600, 20_000]);
    let mut readings = vec![
        ("in memory", Arc::new(memory(values)) as Arc<dyn Source>, None),
        ("decoded", decoded(values), None),
        ("decoded part by part", decoded(values), Some(bytes)),
    ];
    // One array after the other along the first axis, where that is the slowest.
    if !shape.fortran_order && shape.axes[0] >= 3 {
        let step = values.len() / shape.axes[0] as usize;
        let (first, rest) = values.split_at(step);
        let (second, third) = rest.split_at(step * random.below(shape.axes[0] - 1) as usize);
        let parts: [Arc<dyn Source>; 3] = [Arc::new(memory(first)), decoded(second), Arc::new(memory(third))];
        readings.push(("together", concat(parts.to_vec()).expect("of one type"), None));
        readings.push(("together, part by part", concat(parts.to_vec()).expect("of one type"), Some(bytes)));
    }
    readings
}

fn job(source: Arc<dyn Source>, shape: &Shape, along: &[usize], asked: &Asked, bytes: Option<u64>) -> AxisKernel {
    let axes: Vec<Axis> = along.iter().map(|axis| Axis::Number(*axis as i64)).collect();
    let kernel = AxisKernel::new(source, shape.clone(), &axes, &request(asked)).expect("a valid job");
    match bytes {
        Some(bytes) => kernel.with_unfinished_at_most(bytes),
        None => kernel,
    }
}

/// The cases of one element type.
pub fn cases<T: Hostile>(sweep: &mut Sweep) {
    let mut number = 0;
    for (axes, along) in ARRAYS {
        for fortran_order in [false, true] {
            let shape = Shape { axes: axes.to_vec(), fortran_order, dimensions: None };
            let mut random = sweep.random();
            // Each kind of data meets each kind of array as the seed changes, and here each has its turn.
            let (data, make) = T::DATASETS[(number + random.below(2) as usize) % T::DATASETS.len()];
            number += 1;
            let values = make(&mut random, axes.iter().product::<u64>() as usize);
            let missing = (random.below(3) == 0).then(|| random.below(3) as i8);
            let asked = Asked { ddof: *random.pick(&[0, 1, 1, 2, 300]), missing, ..Asked::default() };
            let expected = expected(&values, &shape, along, &asked);
            for (reading, source, bytes) in readings(&values, &shape, &mut random) {
                let kernel = Arc::new(job(source, &shape, along, &asked, bytes));
                let order = if fortran_order { "Fortran" } else { "C" };
                let name =
                    format!("{data}, {axes:?} in {order} order along {along:?}, {reading} ({bytes:?}), {asked:?}");
                sweep.case(&Case { name, kernel, expected: Expected::Result(expected.clone()) });
            }
        }
    }
}

/// The kernel over so many numbers in `width` columns, for controls, decoded.
pub fn of_columns(values: &[f64], width: u64, bytes: Option<u64>) -> Arc<dyn DynKernel> {
    let shape = Shape { axes: vec![values.len() as u64 / width, width], fortran_order: false, dimensions: None };
    let source = Arc::new(Decoded(InMemory::new("array", values.to_vec())));
    Arc::new(job(source, &shape, &[0], &Asked::default(), bytes))
}

#[test]
fn few_bytes_for_unfinished_cells_make_many_parts() {
    let values: Vec<f64> = (0..6000).map(f64::from).collect();
    let (whole, parts) = (of_columns(&values, 300, None), of_columns(&values, 300, Some(20_000)));
    let (whole_work, parts_work) = (whole.work(), parts.work());
    // Steps along the first axis, or cells.
    assert_eq!((whole_work.units, parts_work.units), (20, 300));
    assert!((20..100).contains(&parts_work.granularity), "{parts_work:?}");
    assert!(whole.partial_bytes() > 20_000 && (10_000..=20_000).contains(&parts.partial_bytes()));
}

#[cfg(feature = "netcdf")]
mod of_files {
    use super::*;
    use crate::gpus::gpu_forms;
    use crate::random::base_seed;
    use crate::run::{Tally, result_json};
    use crate::sweep::{check, ways};
    use tandem::input::{InputSpec, Location, open};

    /// The variable and its shape, and its elements, read at once.
    fn variable(name: &str) -> (Arc<dyn Source>, Shape, Vec<f64>) {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/netcdf/groups.nc");
        let mut spec = InputSpec::new(Location::Path(path.into()));
        spec.var = Some(name.to_owned());
        let mut opened = open(&spec, "/".as_ref()).expect("the file");
        let source = opened.columns.remove(0).source;
        let mut scratch = Scratch::default();
        let values = source.read(0..source.len(), &mut scratch).expect("its elements");
        let values = match values {
            Values::F32(values) => values.iter().map(|value| f64::from(*value)).collect(),
            Values::F64(values) => values.to_vec(),
            other => panic!("{:?}", other.dtype()),
        };
        (source, opened.shape.expect("an array"), values)
    }

    #[test]
    fn chunked_variables_part_by_part_come_to_what_their_elements_do() {
        let (source, shape, values) = variable("t2m");
        assert!(!source.is_scattered_cheap(), "the variable is in chunks");
        let tally = Tally::default();
        for along in [&[0][..], &[1], &[2], &[0, 2], &[0, 1], &[0, 1, 2]] {
            let asked = Asked::default();
            let near: Arc<dyn Source> = Arc::new(InMemory::new("array", values.clone()));
            let mut random = Random::named(base_seed(), &format!("{along:?}"));
            let statistics = |json: &str| {
                let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(json).expect("an object");
                ["count", "nan_count", "mean", "std"].map(|name| fields[name].get().to_owned())
            };
            let near = job(near, &shape, along, &asked, None);
            let near = result_json(&near, &ways(&near, &[], &mut random)[0], &tally).expect("values in memory");
            for bytes in [None, Some(0), Some(600), Some(2000)] {
                let kernel: Arc<dyn DynKernel> = Arc::new(job(Arc::clone(&source), &shape, along, &asked, bytes));
                let ways = ways(&*kernel, gpu_forms(), &mut random);
                let found = result_json(&*kernel, &ways[0], &tally).expect("values in the file");
                assert_eq!(statistics(&found), statistics(&near), "along {along:?}, {bytes:?}");
                let case = Case { name: format!("along {along:?}"), kernel, expected: Expected::Result(found) };
                check(&case, &ways, &tally).unwrap_or_else(|differences| panic!("{}:\n{differences}", case.name));
            }
        }
    }
}
