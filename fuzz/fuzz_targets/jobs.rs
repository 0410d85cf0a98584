#![no_main]
//! Any bytes as a job file: one item for each line that is not blank, or more where one has a matrix, indices in order, and a good
//! line at the end stays good whatever came before it.

use libfuzzer_sys::fuzz_target;
use tandem::job::{JobFile, MAX_LINE_BYTES};
use tandem_fuzz::{NAME, check_error};

/// Gives no id, so that none before it can be the same.
const LAST: &[u8] = b"\n{\"kind\":\"primes\",\"numbers\":[97]}\n";

/// A few bytes of a matrix make more jobs than there is time for.
const ITEMS_MAX: usize = 20_000;

fuzz_target!(|data: &[u8]| {
    let whole = [data, LAST].concat();
    let mut jobs = JobFile::new(NAME, &whole[..]);
    let items: Vec<_> = jobs.by_ref().take(ITEMS_MAX).collect();
    assert!(jobs.read_error().is_none(), "bytes in memory can be read");

    let text = whole.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&whole);
    let lines = text.split(|&byte| byte == b'\n').filter(|line| !is_blank(line));
    let has_matrix = text.windows(8).any(|part| part == b"\"matrix\"");
    if has_matrix {
        assert!(items.len() >= lines.count().min(ITEMS_MAX));
    } else {
        assert_eq!(items.len(), lines.count().min(ITEMS_MAX));
    }
    for (index, item) in items.iter().enumerate() {
        let (found, id) = match item {
            Ok(job) => (job.index, &job.id),
            Err(bad) => {
                check_error(&bad.error);
                (bad.index, &bad.id)
            }
        };
        assert_eq!(found, index as u64);
        assert!(!id.is_empty() && id.len() <= MAX_LINE_BYTES);
    }
    if items.len() == ITEMS_MAX {
        return;
    }
    let last = items.last().expect("the last line is one").as_ref().expect("the last line is good");
    assert_eq!(last.kind, "primes");
});

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}
