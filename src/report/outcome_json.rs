//! An outcome as one line of JSON.

use std::io::{self, Write};
use std::time::Duration;

use crate::engine::{Outcome, RanOn};
use crate::kernels::Work;
use crate::plan::{Choice, Plan};

/// The number of the outcome format, its `schema`.
const SCHEMA: u32 = 1;

/// How much of an outcome is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detail {
    /// Where it ran, timings and attempts; without them, two runs of the same jobs give the same bytes.
    pub circumstances: bool,
    /// The plan that it ran by.
    pub plan: bool,
}

impl Detail {
    /// What is the same on every device and in every run: the result or error, and whose it is.
    pub const RESULTS_ONLY: Self = Self { circumstances: false, plan: false };
    /// The result, where it ran and how long it took.
    pub const USUAL: Self = Self { circumstances: true, plan: false };
    /// All that is known.
    pub const FULL: Self = Self { circumstances: true, plan: true };
}

/// Writes an outcome as one JSON object, with a line end.
///
/// `{"schema":1,"index","id","kind","hash","status":"succeeded|failed","result":{…} or "error":{"cause","message"},"device":
/// "cpu"|"gpu:0"|"split"|null,"timings_ms":{"queued","setup","upload","compute","readback","total"},"attempts":1,"plan":{…}}`
///
/// With the plan, `timings_ms` has `"opening"`, opening the input, which is within `setup`, and `"submitted"`, since the begin of the engine.
///
/// `device` is null where the job failed before anything ran it, `kind` where a line went wrong before it gave one. `hash` is
/// there where a later run may look for it.
///
/// # Errors
/// Those of `out`, and of an input that an answer reads once more.
pub fn write_outcome(out: &mut dyn Write, outcome: &Outcome, detail: Detail) -> io::Result<()> {
    let mut digits = itoa::Buffer::new();
    out.write_all(b"{\"schema\":")?;
    out.write_all(digits.format(SCHEMA).as_bytes())?;
    out.write_all(b",\"index\":")?;
    out.write_all(digits.format(outcome.index).as_bytes())?;
    out.write_all(b",\"id\":")?;
    write_string(out, &outcome.id)?;
    out.write_all(b",\"kind\":")?;
    match outcome.kind {
        "" => out.write_all(b"null")?,
        kind => write_string(out, kind)?,
    }
    if let Some(hash) = outcome.hash {
        out.write_all(b",\"hash\":\"")?;
        out.write_all(&hash.to_hex())?;
        out.write_all(b"\"")?;
    }
    match &outcome.result {
        Ok(answer) => {
            out.write_all(b",\"status\":\"succeeded\",\"result\":")?;
            answer.write_json(out)?;
        }
        Err(error) => {
            out.write_all(b",\"status\":\"failed\",\"error\":{\"cause\":")?;
            write_string(out, error.cause.name())?;
            out.write_all(b",\"message\":")?;
            write_string(out, &error.message)?;
            if let Some(details) = &error.details {
                out.write_all(b",")?;
                out.write_all(details.as_bytes())?;
            }
            out.write_all(b"}")?;
        }
    }
    if detail.circumstances {
        match outcome.ran_on {
            RanOn::Nowhere => out.write_all(b",\"device\":null")?,
            RanOn::One(device) => write!(out, ",\"device\":\"{device}\"")?,
            RanOn::Split => out.write_all(b",\"device\":\"split\"")?,
        }
        let times = &outcome.timings;
        let named = [
            (",\"timings_ms\":{\"queued\":", times.queued),
            (",\"setup\":", times.phases.setup),
            (",\"upload\":", times.phases.upload),
            (",\"compute\":", times.phases.compute),
            (",\"readback\":", times.phases.readback),
            (",\"total\":", times.total),
        ];
        for (name, time) in named {
            out.write_all(name.as_bytes())?;
            write_ms(out, time)?;
        }
        if detail.plan {
            // What a replay needs besides: what no plan predicts, and where the job lies among the others.
            for (name, time) in [(",\"opening\":", times.opening), (",\"submitted\":", times.submitted)] {
                out.write_all(name.as_bytes())?;
                write_ms(out, time)?;
            }
        }
        out.write_all(b"},\"attempts\":")?;
        out.write_all(digits.format(outcome.attempts).as_bytes())?;
    }
    if detail.plan
        && let Some(plan) = &outcome.plan
    {
        out.write_all(b",\"plan\":")?;
        write_plan(out, plan)?;
    }
    out.write_all(b"}\n")
}

/// Writes a plan as one JSON object, without a line end: `{"choice","reason","candidates":[{"device","threads",
/// "predicted_ms","low_ms","high_ms","setup_ms","waiting_ms","note"}],"crossover":{"device","units","below"},"work":{"variant",
/// "units","granularity","bytes_per_unit","bytes_out_per_unit","prior_ns_per_unit","passes","gpu"},"gpus_known":true}`.
///
/// `threads` is null for a GPU; the predictions are null for a candidate that could not be taken, and its note says why.
/// `setup_ms` and `waiting_ms` are within the prediction, and left out where there are none. `crossover` is left out where no other choice would win at any size,
/// `gpus_known` where no GPU had been looked for.
///
/// # Errors
/// Those of `out`.
pub fn write_plan(out: &mut dyn Write, plan: &Plan) -> io::Result<()> {
    out.write_all(b"{\"choice\":")?;
    write_string(out, &plan.choice.to_string())?;
    out.write_all(b",\"reason\":")?;
    write_string(out, &plan.reason)?;
    out.write_all(b",\"candidates\":[")?;
    for (i, candidate) in plan.candidates.iter().enumerate() {
        out.write_all(if i == 0 { b"{\"device\":" } else { b",{\"device\":" })?;
        write_choice(out, &candidate.choice)?;
        match candidate.predicted {
            Some(prediction) => {
                for (name, ms) in [
                    (",\"predicted_ms\":", prediction.ms),
                    (",\"low_ms\":", prediction.low_ms),
                    (",\"high_ms\":", prediction.high_ms),
                ] {
                    out.write_all(name.as_bytes())?;
                    write_f64(out, ms)?;
                }
            }
            None => out.write_all(b",\"predicted_ms\":null,\"low_ms\":null,\"high_ms\":null")?,
        }
        // What a replay has to tell apart, left out where there is none.
        for (name, ms) in [(",\"setup_ms\":", candidate.setup_ms), (",\"waiting_ms\":", candidate.waiting_ms)] {
            if candidate.predicted.is_some() && ms > 0.0 {
                out.write_all(name.as_bytes())?;
                write_f64(out, ms)?;
            }
        }
        out.write_all(b",\"note\":")?;
        write_string(out, &candidate.note)?;
        out.write_all(b"}")?;
    }
    out.write_all(b"]")?;
    if let Some(crossover) = &plan.crossover {
        out.write_all(b",\"crossover\":{\"device\":")?;
        write_choice(out, &crossover.choice)?;
        write!(out, ",\"units\":\"{}\",\"below\":{}}}", crossover.units, crossover.below)?;
    }
    if let Some(work) = &plan.work {
        write_work(out, work)?;
    }
    if plan.gpus_known {
        out.write_all(b",\"gpus_known\":true")?;
    }
    out.write_all(b"}")
}

/// How large the job is: with this, what it takes elsewhere can be predicted later.
fn write_work(out: &mut dyn Write, work: &Work) -> io::Result<()> {
    out.write_all(b",\"work\":{\"variant\":")?;
    write_string(out, &work.variant)?;
    write!(out, ",\"units\":{},\"granularity\":{}", work.units, work.granularity)?;
    for (name, value) in [
        (",\"bytes_per_unit\":", work.bytes_per_unit),
        (",\"bytes_out_per_unit\":", work.bytes_out_per_unit),
        (",\"prior_ns_per_unit\":", work.prior_ns_per_unit),
    ] {
        out.write_all(name.as_bytes())?;
        write_f64(out, value)?;
    }
    write!(out, ",\"passes\":{},\"gpu\":{}}}", work.passes, work.gpu)
}

/// The device of a choice, and how many threads of the CPU it takes.
fn write_choice(out: &mut dyn Write, choice: &Choice) -> io::Result<()> {
    match choice {
        Choice::Cpu { threads } => write!(out, "\"cpu\",\"threads\":{threads}"),
        Choice::Gpu { index } => write!(out, "\"gpu:{index}\",\"threads\":null"),
        Choice::Split { parts } => {
            let threads = parts.iter().find(|part| part.device == crate::device::DeviceId::Cpu).map(|part| part.lanes);
            match threads {
                Some(threads) => write!(out, "\"split\",\"threads\":{threads}"),
                None => out.write_all(b"\"split\",\"threads\":null"),
            }
        }
    }
}

/// A JSON string. Most ids and messages need no escape and are written as they are.
pub(super) fn write_string(out: &mut dyn Write, text: &str) -> io::Result<()> {
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        out.write_all(b"\"")?;
        out.write_all(text.as_bytes())?;
        return out.write_all(b"\"");
    }
    Ok(serde_json::to_writer(out, text)?)
}

/// Milliseconds, exact to the nanosecond, without an exponent.
pub(super) fn write_ms(out: &mut dyn Write, time: Duration) -> io::Result<()> {
    let (ms, ns) = (time.as_millis(), time.subsec_nanos() % 1_000_000);
    out.write_all(itoa::Buffer::new().format(ms).as_bytes())?;
    if ns == 0 {
        return Ok(());
    }
    let mut fraction = *b".000000";
    let mut rest = ns;
    for place in (1..7).rev() {
        fraction[place] += (rest % 10) as u8;
        rest /= 10;
    }
    let end = fraction.iter().rposition(|&digit| digit != b'0').map_or(0, |last| last + 1);
    out.write_all(&fraction[..end])
}

/// A JSON number; null for what JSON has no number for.
pub(super) fn write_f64(out: &mut dyn Write, value: f64) -> io::Result<()> {
    if value.is_finite() {
        out.write_all(ryu::Buffer::new().format_finite(value).as_bytes())
    } else {
        out.write_all(b"null")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::job::{Cause, JobError};
    use crate::report::examples::{failed, plan, succeeded};

    fn line(outcome: &Outcome, detail: Detail) -> String {
        let mut out = Vec::new();
        write_outcome(&mut out, outcome, detail).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed["schema"], 1);
        text
    }

    #[test]
    fn an_outcome_has_the_fields_of_the_format_in_its_order() {
        assert_eq!(
            line(&succeeded(), Detail::USUAL),
            "{\"schema\":1,\"index\":3,\"id\":\"a\",\"kind\":\"primes\",\"status\":\"succeeded\",\"result\":{\"count\":4},\
             \"device\":\"gpu:0\",\"timings_ms\":{\"queued\":0.25,\"setup\":1,\"upload\":2.000001,\"compute\":3000,\
             \"readback\":0,\"total\":3004.5},\"attempts\":2}\n"
        );
        assert_eq!(
            line(&failed(), Detail::USUAL),
            "{\"schema\":1,\"index\":4,\"id\":\"#5\",\"kind\":null,\"status\":\"failed\",\"error\":{\"cause\":\"bad_input\",\
             \"message\":\"j:5:1: expected `\\\"`\"},\"device\":null,\"timings_ms\":{\"queued\":0,\"setup\":0,\"upload\":0,\
             \"compute\":0,\"readback\":0,\"total\":0},\"attempts\":1}\n"
        );
    }

    #[test]
    fn results_only_leaves_out_whatever_differs_between_two_runs() {
        let short = "{\"schema\":1,\"index\":3,\"id\":\"a\",\"kind\":\"primes\",\"status\":\"succeeded\",\"result\":{\"count\":4}}\n";
        assert_eq!(line(&succeeded(), Detail::RESULTS_ONLY), short);
        let elsewhere =
            Outcome { ran_on: RanOn::Split, attempts: 7, plan: None, timings: Default::default(), ..succeeded() };
        assert_eq!(line(&elsewhere, Detail::RESULTS_ONLY), short);
        assert_ne!(line(&Outcome { index: 4, ..succeeded() }, Detail::RESULTS_ONLY), short);
    }

    #[test]
    fn the_plan_lists_every_candidate_with_its_interval() {
        let parsed: serde_json::Value = serde_json::from_str(&line(&succeeded(), Detail::FULL)).unwrap();
        assert_eq!(
            parsed["plan"],
            serde_json::json!({
                "choice": "gpu:0",
                "reason": "gpu:0 is predicted to end 3.0x sooner than cpu, 8 threads",
                "candidates": [
                    {"device": "gpu:0", "threads": null, "predicted_ms": 2800.0, "low_ms": 2500.0, "high_ms": 3500.0, "waiting_ms": 250.0, "note": "12 samples"},
                    {"device": "cpu", "threads": 8, "predicted_ms": 8400.0, "low_ms": 8000.0, "high_ms": 9000.5, "waiting_ms": 250.0, "note": "prior"},
                    {"device": "split", "threads": 7, "predicted_ms": null, "low_ms": null, "high_ms": null, "note": "no gain"},
                ],
                "crossover": {"device": "cpu", "threads": 1, "units": "40000", "below": true},
                "work": {"variant": "range", "units": 4_000_000, "granularity": 1024, "bytes_per_unit": 0.0, "bytes_out_per_unit": 8.0,
                    "prior_ns_per_unit": 90.5, "passes": 1, "gpu": true},
                "gpus_known": true,
            })
        );
        assert_eq!((&parsed["timings_ms"]["opening"], &parsed["timings_ms"]["submitted"]), (&0.into(), &2.into()));
        assert!(!line(&Outcome { plan: None, ..succeeded() }, Detail::FULL).contains("plan"));
    }

    #[test]
    fn hostile_ids_and_messages_stay_one_json_line() {
        for hostile in ["\"", "\\", "a\nb", "\u{1b}[2J\u{0}", "é\u{2028}", ""] {
            let outcome =
                Outcome { id: Arc::from(hostile), result: Err(JobError::new(Cause::Io, hostile)), ..failed() };
            let parsed: serde_json::Value = serde_json::from_str(&line(&outcome, Detail::USUAL)).unwrap();
            assert_eq!((&parsed["id"], &parsed["error"]["message"]), (&hostile.into(), &hostile.into()));
        }
    }

    #[test]
    fn milliseconds_are_exact_to_the_nanosecond() {
        for (ns, expected) in [
            (0, "0"),
            (1, "0.000001"),
            (999_999, "0.999999"),
            (1_000_000, "1"),
            (1_500_000_000, "1500"),
            (10_100, "0.0101"),
        ] {
            let mut out = Vec::new();
            write_ms(&mut out, Duration::from_nanos(ns)).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn a_plan_of_impossible_figures_is_still_json() {
        let mut plan = plan();
        plan.candidates[0].predicted.as_mut().unwrap().high_ms = f64::INFINITY;
        let mut out = Vec::new();
        write_plan(&mut out, &plan).unwrap();
        let parsed: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(parsed["candidates"][0]["high_ms"], serde_json::Value::Null);
    }
}
