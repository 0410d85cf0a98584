//! Fewer spans, where there are too many to keep.

use std::collections::HashMap;
use std::time::Duration;

use super::Span;

/// Joins spans of a track with their neighbours until no more than `most` are left, if need be across short breaks; those of a
/// track are in order. `joined` is what was done so before. Gives what was done now: spans that are together no longer than that
/// may have been joined.
pub fn join_neighbours(spans: &mut Vec<Span>, most: usize, joined: Duration) -> Duration {
    let end = spans.iter().map(|span| span.end).max().unwrap_or_default();
    // Where everything has become one span of each track, nothing more can be done.
    let mut within = (joined * 2).max(Duration::from_micros(1));
    loop {
        join(spans, within);
        if spans.len() <= most || within > end {
            return within;
        }
        within *= 2;
    }
}

fn join(spans: &mut Vec<Span>, within: Duration) {
    let mut last: HashMap<u32, usize> = HashMap::new();
    let mut kept: Vec<Span> = Vec::with_capacity(spans.len() / 2);
    for span in spans.drain(..) {
        match last.get(&span.track).map(|at| &mut kept[*at]) {
            Some(before) if span.end.saturating_sub(before.begin) <= within => {
                before.end = before.end.max(span.end);
                before.jobs = before.jobs.saturating_add(span.jobs);
            }
            _ => {
                last.insert(span.track, kept.len());
                kept.push(span);
            }
        }
    }
    *spans = kept;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_spans_keep_their_jobs_their_order_and_nearly_their_time() {
        let us = Duration::from_micros;
        // Nine tenths of the time are work.
        let span = |at: u64| Span {
            track: (at % 4) as u32,
            begin: us(at * 10),
            end: us(at * 10 + 9),
            job: at,
            jobs: 1,
            what: "compute",
        };
        let mut spans: Vec<Span> = (0..100_000).map(span).collect();
        let joined = join_neighbours(&mut spans, 10_000, Duration::ZERO);
        assert!(spans.len() <= 10_000 && spans.len() > 4000, "{}", spans.len());
        assert!(joined < us(1000), "{joined:?}");
        assert_eq!(spans.iter().map(|span| u64::from(span.jobs)).sum::<u64>(), 100_000);
        for track in 0..4 {
            let of_track: Vec<_> = spans.iter().filter(|span| span.track == track).collect();
            assert!(of_track.windows(2).all(|pair| pair[0].end <= pair[1].begin));
        }
    }

    #[test]
    fn it_ends_also_where_there_are_more_tracks_than_spans_to_keep() {
        let span =
            |at: u32| Span { track: at, begin: Duration::ZERO, end: Duration::from_secs(1), job: 0, jobs: 1, what: "" };
        let mut spans: Vec<Span> = (0..100).map(span).collect();
        join_neighbours(&mut spans, 10, Duration::ZERO);
        assert_eq!(spans.len(), 100);
    }
}
