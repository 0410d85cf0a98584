//! Jobs that overlapped on the same lanes: what each of them would have taken alone.

use std::collections::BTreeSet;

/// Ends that differ by no more than this are one reading of the clock: times are written to the nanosecond.
const SAME_MS: f64 = 2e-6;

/// When a job had lanes, or waited for them between its chunks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub begin_ms: f64,
    pub end_ms: f64,
    /// How many lanes it could use.
    pub lanes: u32,
}

/// What each of these jobs would have taken with its lanes to itself, on a device with so many. The time during which jobs wanted more
/// lanes than there are goes to those of one lane, which hold theirs from begin to end, and then to whoever ended first: chunks of
/// the next job only fill what those of the first one leave. So what is given out never exceeds the lanes times the time.
pub(super) fn alone_ms(spans: &[Span], lanes: u32) -> Vec<f64> {
    let spans = one_after_the_other(spans);
    let mut changes: Vec<(f64, usize)> = Vec::with_capacity(spans.len() * 2);
    changes.extend(spans.iter().enumerate().flat_map(|(at, span)| [(span.begin_ms, at), (span.end_ms, at)]));
    changes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut alone_ms = vec![0.0; spans.len()];
    // By who is served first; times are not negative, so that their bits are in their order.
    let mut active: BTreeSet<(bool, u64, usize)> = BTreeSet::new();
    let mut since_ms = 0.0;
    for (now_ms, at) in changes {
        let mut left = f64::from(lanes);
        let mut waiting = active.iter().filter(|_| now_ms > since_ms).peekable();
        while left > 0.0
            && let Some(&&(is_wide, ends, _)) = waiting.peek()
        {
            // Who ended at once was served alike.
            let alike = || waiting.next_if(|other| (other.0, other.1) == (is_wide, ends)).map(|other| other.2);
            let alike: Vec<usize> = std::iter::from_fn(alike).collect();
            let wanted: f64 = alike.iter().map(|&at| f64::from(spans[at].lanes.clamp(1, lanes))).sum();
            let part = (left / wanted).min(1.0);
            alike.into_iter().for_each(|at| alone_ms[at] += (now_ms - since_ms) * part);
            left = if part < 1.0 { 0.0 } else { left - wanted };
        }
        since_ms = now_ms;
        let key = (spans[at].lanes > 1, spans[at].end_ms.to_bits(), at);
        if !active.remove(&key) {
            active.insert(key);
        }
    }
    alone_ms
}

/// Small jobs run in batches, and the clock is read at the end of each: its jobs seem to have run all at once then, and ran one after the
/// other.
fn one_after_the_other(spans: &[Span]) -> Vec<Span> {
    let mut spans = spans.to_vec();
    let mut by_end: Vec<usize> = (0..spans.len()).filter(|&at| spans[at].lanes <= 1).collect();
    by_end.sort_by(|&a, &b| spans[b].end_ms.total_cmp(&spans[a].end_ms).then(b.cmp(&a)));
    let mut last: Option<(f64, f64)> = None;
    for at in by_end {
        let Span { begin_ms, end_ms, .. } = spans[at];
        let (of_batch_ms, behind_ms) =
            last.filter(|(batch_ms, _)| batch_ms - end_ms <= SAME_MS).unwrap_or((end_ms, end_ms));
        let (took_ms, end_ms) = (end_ms - begin_ms, behind_ms.min(end_ms).max(0.0));
        spans[at] = Span { begin_ms: (end_ms - took_ms).max(0.0), end_ms, lanes: 1 };
        last = Some((of_batch_ms, spans[at].begin_ms));
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    fn span(begin_ms: f64, end_ms: f64, lanes: u32) -> Span {
        Span { begin_ms, end_ms, lanes }
    }

    #[track_caller]
    fn come_to(spans: &[Span], lanes: u32, expected: &[f64]) {
        let found = alone_ms(spans, lanes);
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}");
    }

    #[test]
    fn what_ran_beside_each_other_on_lanes_enough_took_what_was_measured() {
        // For a millisecond, the last one had one of its two lanes.
        come_to(&[span(0.0, 10.0, 1), span(2.0, 9.0, 1), span(9.0, 20.0, 2)], 2, &[10.0, 7.0, 10.5]);
        come_to(&[span(0.0, 10.0, 2), span(0.0, 10.0, 2)], 4, &[10.0, 10.0]);
    }

    #[test]
    fn who_ended_first_had_the_lanes_and_who_has_one_lane_keeps_it() {
        come_to(&[span(0.0, 10.0, 2), span(1.0, 20.0, 2)], 2, &[10.0, 10.0]);
        // A third lane is left for the second job: half of what it could use for nine milliseconds.
        come_to(&[span(0.0, 10.0, 2), span(1.0, 20.0, 2)], 3, &[10.0, 14.5]);
        come_to(&[span(0.0, 10.0, 2), span(0.0, 20.0, 1)], 2, &[5.0, 20.0]);
        // Who ended at once shared them.
        come_to(&[span(0.0, 12.0, 2), span(0.0, 12.0, 2), span(0.0, 12.0, 2)], 2, &[4.0, 4.0, 4.0]);
        // Begun later and ended earlier, it must have been served.
        come_to(&[span(0.0, 10.0, 2), span(4.0, 6.0, 2)], 2, &[8.0, 2.0]);
    }

    #[test]
    fn jobs_of_a_batch_lie_one_after_the_other() {
        let batch = [span(9.0, 10.0, 1), span(9.0, 10.0, 1), span(9.0, 10.0 - 1e-6, 1), span(0.0, 10.0, 2)];
        come_to(&batch[..3], 1, &[1.0, 1.0, 1.0 - 1e-6]);
        // The wide job has one of two lanes while the batch runs.
        let found = alone_ms(&batch, 2);
        assert!((found[3] - 8.5).abs() < 1e-5, "{found:?}");
    }

    #[test]
    fn nothing_is_given_out_twice() {
        for seed in 0..200_u64 {
            let mut random = SplitMix64(seed);
            let mut below = |n: u64| random.next_u64() % n;
            let lanes = 1 + below(8) as u32;
            let spans: Vec<Span> = (0..40)
                .map(|_| {
                    let begin_ms = below(1000) as f64 / 7.0;
                    span(begin_ms, begin_ms + below(1000) as f64 / 9.0, 1 + below(u64::from(lanes)) as u32)
                })
                .collect();
            let found = alone_ms(&spans, lanes);
            let given: f64 = found.iter().zip(&spans).map(|(ms, span)| ms * f64::from(span.lanes)).sum();
            let end_ms = spans.iter().map(|span| span.end_ms).fold(0.0, f64::max);
            assert!(given <= end_ms * f64::from(lanes) * (1.0 + 1e-12), "seed {seed}: {given}");
            let within = found.iter().zip(&spans).all(|(ms, span)| *ms <= span.end_ms - span.begin_ms + 1e-9);
            assert!(within, "seed {seed}: {found:?}");
        }
    }
}
