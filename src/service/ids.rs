//! What jobs are called outside: the tag of their journal and their number, `kqtz-17`.

/// The name of the job of this number.
pub(super) fn job_id(tag: &str, seq: u64) -> String {
    format!("{tag}-{seq}")
}

/// The number of the job of this name; `None` where it is of another journal, or no name at all.
pub(super) fn seq_of(tag: &str, id: &str) -> Option<u64> {
    let digits = id.strip_prefix(tag)?.strip_prefix('-')?;
    let is_plain = !digits.starts_with('0') && digits.len() < 19 && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_numbers_and_those_of_others_to_none() {
        assert_eq!(seq_of("kqtz", &job_id("kqtz", 17)), Some(17));
        for id in
            ["abcd-17", "kqtz17", "kqtz-", "kqtz-017", "kqtz-0", "kqtz--1", "kqtz-+1", "kqtz-99999999999999999999", ""]
        {
            assert_eq!(seq_of("kqtz", id), None, "{id}");
        }
    }
}
