//! The service, as its clients and its operator meet it: the program itself, over HTTP.
#![cfg(all(feature = "service", unix))]

mod access;
mod batches;
mod clients;
mod commands;
mod devices;
#[cfg(target_os = "linux")]
mod disk;
mod events;
mod folder;
mod jobs;
mod program;
mod restarts;
mod status;
mod uploads;
mod waiting;
