//! What every fuzz target checks: what was read can be read whole, and what was refused names its input.

use tandem::input::{Dataset, InputSpec, Location, NumberList, Scratch, Source};
use tandem::job::JobError;

/// What the input is called.
pub const NAME: &str = "fuzzed";

/// An input with nothing said about it, but for what `change` says.
pub fn spec(change: impl FnOnce(&mut InputSpec)) -> InputSpec {
    let mut spec = InputSpec::new(Location::from_text(NAME));
    change(&mut spec);
    spec
}

/// Reads every element of every column.
pub fn check_dataset(read: Result<Dataset, JobError>) {
    match read {
        Ok(dataset) => {
            assert!(!dataset.columns.is_empty());
            let len = dataset.columns[0].source.len();
            for column in &dataset.columns {
                assert_eq!(column.source.len(), len, "columns are of one length");
                check_source(&*column.source);
            }
        }
        Err(error) => check_error(&error),
    }
}

/// Reads every number, and those that stand apart.
pub fn check_list(read: Result<NumberList, JobError>) {
    match read {
        Ok(list) => {
            check_source(&**list.source());
            let len = list.source().len();
            for (index, value) in list.exceptions(0..len).expect("they are in memory") {
                assert!(index < len && value < 0);
            }
        }
        Err(error) => check_error(&error),
    }
}

fn check_source(source: &dyn Source) {
    let mut scratch = Scratch::default();
    let mut start = 0;
    while start < source.len() {
        let end = source.len().min(start + 777);
        assert_eq!(source.read(start..end, &mut scratch).expect("it is in memory").len() as u64, end - start);
        start = end;
    }
    source.check().expect("it is in memory");
}

/// It names its input, in one short line.
pub fn check_error(error: &JobError) {
    assert!(error.message.starts_with(NAME), "{error}");
    assert!(error.message.len() < 4000 && !error.message.contains('\n'), "{error}");
}
