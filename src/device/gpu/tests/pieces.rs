//! Inputs that go up in pieces, and are computed on before they are whole.

use super::*;

/// A device that sends its input in small pieces, each copied by two threads.
fn device_of_pieces(piece_bytes: u64) -> Option<GpuDevice> {
    let options =
        GpuOptions { piece_bytes: Some(piece_bytes), upload_threads: Some(2), poison: true, ..GpuOptions::default() };
    device_for_tests(&options)
}

#[test]
fn pieces_that_are_computed_on_before_the_rest_is_there_come_to_the_same() {
    for piece_bytes in [16, 256, 4096, 100_000] {
        let Some(device) = device_of_pieces(piece_bytes) else { return };
        for len in [1u64, 64, 65, 1000, 4096, 40_001, 300_000] {
            let what = format!("{len} elements in pieces of {piece_bytes} bytes");
            assert_eq!(folded(&device, sum(len), 0..len).unwrap(), (expected(len, 0..len), false), "{what}");
            let inside = len / 3..len - len / 5;
            assert_eq!(folded(&device, sum(len), inside.clone()).unwrap().0, expected(len, inside), "inside of {what}");
        }
        assert!(folded(&device, sum(300_000), 0..300_000).unwrap().1, "it was kept, whole");
    }
}

#[test]
fn a_dispatch_runs_before_what_it_does_not_ask_for_is_there() {
    let Some(device) = device_of_pieces(4096) else { return };
    // It says that it needs a piece less than it does: were the whole input there all the same, nothing would show.
    let dishonest = |len| Sum { unsaid: 1024, ..sum(len) };
    assert_ne!(folded(&device, dishonest(20_000), 0..20_000).unwrap().0, expected(20_000, 0..20_000));
    assert_eq!(folded(&device, sum(20_000), 0..20_000).unwrap().0, expected(20_000, 0..20_000));
}

#[test]
fn an_input_that_fails_half_way_fails_the_job_and_leaves_nothing_behind() {
    /// Gives up after the first half.
    #[derive(Debug)]
    struct Broken(Named);
    impl Source for Broken {
        fn name(&self) -> &str {
            "broken"
        }
        fn dtype(&self) -> crate::input::DType {
            self.0.dtype()
        }
        fn len(&self) -> u64 {
            self.0.len()
        }
        fn read<'a>(&'a self, range: Range<u64>, scratch: &'a mut Scratch) -> Result<Values<'a>, JobError> {
            if range.end > self.len() / 2 {
                return Err(JobError::new(crate::job::Cause::Io, "broken: no more"));
            }
            self.0.read(range, scratch)
        }
        fn identity(&self) -> Option<u64> {
            self.0.identity()
        }
    }
    let Some(device) = device_of_pieces(4096) else { return };
    let len = 100_000;
    let broken = Sum { source: Arc::new(Broken(Named(InMemory::new("values", values(len)), len + 1))), ..sum(len) };
    let error = folded(&device, broken, 0..len).unwrap_err();
    assert!(matches!(&error, DeviceError::Job(error) if error.message.contains("no more")), "{error}");
    assert_eq!(device.resident_bytes(&[len + 1]), 0, "half an input is not remembered");
    assert_eq!(folded(&device, sum(len), 0..len).unwrap(), (expected(len, 0..len), false));
}
