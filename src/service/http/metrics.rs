//! Figures as Prometheus reads them.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::App;
use crate::journal::State as JobState;

/// Figures, as Prometheus reads them.
#[utoipa::path(get, path = "/metrics", tag = "service", responses((status = 200, body = String, content_type = "text/plain")))]
pub(super) async fn metrics(State(app): State<App>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text(&app)).into_response()
}

fn text(app: &App) -> String {
    let mut out = String::new();
    let head = |out: &mut String, name: &str, kind: &str, help: &str| {
        let _ = writeln!(out, "# HELP tandem_{name} {help}\n# TYPE tandem_{name} {kind}");
    };
    let (counts, given) = app.counts();
    let counters = &app.counters;
    head(&mut out, "jobs_accepted_total", "counter", "Jobs that were written down and acknowledged.");
    let _ = writeln!(out, "tandem_jobs_accepted_total {}", counters.accepted.load(Ordering::Relaxed));
    head(&mut out, "jobs_refused_total", "counter", "Jobs that were not taken in.");
    let _ = writeln!(out, "tandem_jobs_refused_total {}", counters.refused.load(Ordering::Relaxed));
    head(&mut out, "jobs_ended_total", "counter", "Jobs that have ended, by how.");
    for state in JobState::ALL.into_iter().filter(|state| state.is_terminal()) {
        let count = counters.ended[state as usize].load(Ordering::Relaxed);
        let _ = writeln!(out, "tandem_jobs_ended_total{{state=\"{state}\"}} {count}");
    }
    head(&mut out, "jobs", "gauge", "Jobs that have not ended, by how far they have come.");
    for (state, count) in counts {
        let _ = writeln!(out, "tandem_jobs{{state=\"{state}\"}} {count}");
    }
    let engine = app.runner().engine();
    for (name, help, value) in [
        ("jobs_with_engine", "Jobs that the engine has.", given as u64),
        ("jobs_kept", "Jobs that have ended and are kept.", app.journal().ended()),
        ("journal_log_bytes", "How long the log beside the file of the journal is.", app.journal().log_bytes()),
        ("memory_reserved_bytes", "Memory that jobs have reserved.", engine.reserved_bytes()),
        ("memory_bodies_bytes", "Memory that bodies take that are being read.", app.memory.taken() as u64),
        ("memory_limit_bytes", "Memory that jobs may take together.", app.options.memory_bytes),
        ("process_resident_bytes", "Memory that the process holds.", crate::device::resident_bytes().unwrap_or(0)),
        (
            "data_bytes",
            "What files of jobs, datasets and what programs print take on the disk.",
            app.space.used_bytes(),
        ),
        ("devices_set_aside", "Devices that have failed and are not used.", engine.set_aside().len() as u64),
    ] {
        head(&mut out, name, "gauge", help);
        let _ = writeln!(out, "tandem_{name} {value}");
    }
    out
}
