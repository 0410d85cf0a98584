//! Every reader, fed what no reader should be fed: an error that names the input and the place, or a valid result; never a
//! panic, never an endless or boundless computation.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tandem::input::{
    ColumnRef, DType, Format, Header, InputSpec, Location, Scratch, Source, Voi, read_numbers, read_stream,
};
use tandem::job::JobError;

/// A reader, and a small valid input for it.
struct Reader {
    label: &'static str,
    valid: Vec<u8>,
    /// Reads to the end, and every element of what was read; gives the number of elements.
    read: fn(&[u8]) -> Result<u64, JobError>,
}

const NAME: &str = "hostile.input";

fn spec(change: impl FnOnce(&mut InputSpec)) -> InputSpec {
    let mut spec = InputSpec::new(Location::from_text(NAME));
    change(&mut spec);
    spec
}

fn read_elements(source: &dyn Source) -> Result<u64, JobError> {
    let mut scratch = Scratch::default();
    let mut start = 0;
    while start < source.len() {
        let end = source.len().min(start + 1000);
        assert_eq!(source.read(start..end, &mut scratch)?.len() as u64, end - start);
        start = end;
    }
    source.check()?;
    Ok(source.len())
}

fn read_dataset(mut bytes: &[u8], spec: &InputSpec) -> Result<u64, JobError> {
    let dataset = read_stream(NAME, &mut bytes, spec)?;
    assert!(!dataset.columns.is_empty());
    dataset.columns.iter().map(|column| read_elements(&*column.source)).sum()
}

fn read_list(mut bytes: &[u8], format: Option<Format>) -> Result<u64, JobError> {
    let list = read_numbers(NAME, &mut bytes, format)?;
    list.exceptions(0..list.source().len())?;
    read_elements(&**list.source())
}

fn npy_file(header: &str, data: &[u8]) -> Vec<u8> {
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
}

fn readers() -> Vec<Reader> {
    let npy = npy_file("{'descr': '>f4', 'fortran_order': True, 'shape': (2, 3), }   \n", &[1; 24]);
    let integers = npy_file("{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }   \n", &[1; 12]);
    let csv = b"\xef\xbb\xbfname,\"a \"\"b\"\"\",c\r\nx,1.5,-2\r\n\"y,\nz\",,1e300\r\n\n\"w\",nan,inf\n".to_vec();
    let mut readers = vec![
        Reader {
            label: "npy",
            valid: npy,
            read: |bytes| read_dataset(bytes, &spec(|spec| spec.format = Some(Format::Npy))),
        },
        Reader {
            label: "raw",
            valid: vec![3; 3 + 8 * 5],
            read: |bytes| {
                let raw = |spec: &mut InputSpec| {
                    (spec.format, spec.dtype, spec.offset) = (Some(Format::Raw), Some(DType::F64), Some(3));
                };
                read_dataset(bytes, &spec(raw))
            },
        },
        Reader {
            label: "csv, all columns",
            valid: csv.clone(),
            read: |bytes| read_dataset(bytes, &spec(|spec| spec.format = Some(Format::Csv))),
        },
        Reader {
            label: "csv, one column",
            valid: csv,
            read: |bytes| {
                let csv = |spec: &mut InputSpec| {
                    spec.format = Some(Format::Csv);
                    spec.columns = Some(vec![ColumnRef::from("c"), ColumnRef::Index(1)]);
                    spec.header = Header::Yes;
                    spec.na = vec!["-".to_owned()];
                };
                read_dataset(bytes, &spec(csv))
            },
        },
        Reader {
            label: "json",
            valid: b" [1, -2.5e3, null,\n \"NaN\", \"-Infinity\", 0.1]\n".to_vec(),
            read: |bytes| read_dataset(bytes, &spec(|spec| spec.format = Some(Format::Json))),
        },
        Reader {
            label: "text",
            valid: b"97\r\n\n-5\n18446744073709551615\n1_000\n1e10\n".to_vec(),
            read: |bytes| read_list(bytes, Some(Format::Text)),
        },
        Reader { label: "npy of integers", valid: integers, read: |bytes| read_list(bytes, Some(Format::Npy)) },
        Reader {
            label: "any dataset",
            valid: b"a,b\n1,2\n".to_vec(),
            read: |bytes| read_dataset(bytes, &spec(|_| ())),
        },
        Reader { label: "any list", valid: b"1\n2\n".to_vec(), read: |bytes| read_list(bytes, None) },
    ];
    if cfg!(feature = "dicom") {
        readers.push(Reader {
            label: "dicom",
            valid: include_bytes!("data/dicom/per_frame.dcm").to_vec(),
            read: |bytes| {
                let dicom =
                    |spec: &mut InputSpec| (spec.format, spec.window) = (Some(Format::Dicom), Some(Voi::OfFile));
                read_dataset(bytes, &spec(dicom))
            },
        });
    }
    readers
}

/// Whether a message says where in its input the fault lies, or that the input is wrong as a whole.
fn names_a_place(message: &str) -> bool {
    let places = [
        "line ",
        "byte",
        "is empty",
        "has no row",
        "column",
        "elements",
        "begins with",
        "UTF-16",
        "shape",
        "attribute",
        "transfer syntax",
    ];
    places.iter().any(|place| message.contains(place))
}

/// Feeds `bytes` to a reader, and checks that whatever comes of it is in order.
fn feed(reader: &Reader, bytes: &[u8], what: &str) -> Result<u64, JobError> {
    let shown = bytes[..bytes.len().min(200)].escape_ascii();
    let read = catch_unwind(AssertUnwindSafe(|| (reader.read)(bytes)));
    let Ok(read) = read else { panic!("{} panicked at {what}: {shown}", reader.label) };
    if let Err(JobError { message, .. }) = &read {
        assert!(message.starts_with(NAME), "{}, {what}: no input in `{message}`", reader.label);
        assert!(names_a_place(message), "{}, {what}: no place in `{message}`", reader.label);
        assert!(message.len() < 2000, "{}, {what}: {} bytes of message", reader.label, message.len());
        assert!(!message.contains('\n') && !message.contains('\x1b'), "{}, {what}: `{message}`", reader.label);
    }
    read
}

#[test]
fn every_valid_input_is_read() {
    let counts: Vec<u64> = readers().iter().map(|reader| feed(reader, &reader.valid, "valid").unwrap()).collect();
    assert_eq!(counts[..9], [6, 5, 6, 6, 6, 5, 6, 2, 2]);
    assert_eq!(counts[9..], [45][..usize::from(cfg!(feature = "dicom"))]);
}

#[test]
fn inputs_cut_short_at_every_byte_are_refused_or_read() {
    for reader in readers() {
        let refused = (0..reader.valid.len())
            .filter(|&len| feed(&reader, &reader.valid[..len], &format!("the first {len} bytes")).is_err())
            .count();
        // A text may end after any line; an array may not.
        let all = reader.valid.len();
        match reader.label {
            "npy" | "npy of integers" | "dicom" => assert_eq!(refused, all, "{}", reader.label),
            "raw" => assert_eq!(refused, all - 5, "every length but those of whole elements"),
            "json" => assert!(refused >= all - 1, "only the line end may be missing"),
            _ => {}
        }
    }
}

/// A generator of pseudo-random numbers (Marsaglia's xorshift64).
struct Xorshift(u64);

impl Xorshift {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

#[test]
fn inputs_with_bytes_flipped_inserted_and_removed_are_refused_or_read() {
    const TELLING: &[u8] = b"\"',\n\r\0[]{}()-+.eE_09\xff\x80\xef:#TF ";
    for reader in readers() {
        for seed in 1..3000_u64 {
            let mut random = Xorshift(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let mut bytes = reader.valid.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
                match random.below(5) {
                    0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
                    1 if !bytes.is_empty() => bytes[at] = TELLING[random.below(TELLING.len())],
                    2 => bytes.insert(at, TELLING[random.below(TELLING.len())]),
                    3 if !bytes.is_empty() => drop(bytes.remove(at)),
                    _ => bytes.extend_from_within(at..),
                }
            }
            let _ = feed(&reader, &bytes, &format!("seed {seed}"));
        }
    }
}

#[test]
fn bytes_that_are_no_input_at_all_are_refused_or_read() {
    let kilo = 1 << 10;
    let mega = 1 << 20;
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("one zero", vec![0]),
        ("zeros", vec![0; 100 * kilo]),
        ("spaces", vec![b' '; mega]),
        ("line ends", vec![b'\n'; mega]),
        ("returns", vec![b'\r'; mega]),
        ("quotes", vec![b'"'; mega + 1]),
        ("an open quote", [b"\"".as_slice(), &vec![b'a'; mega]].concat()),
        ("commas", vec![b','; mega]),
        ("deep arrays", vec![b'['; mega]),
        ("deep objects", b"{\"a\":".repeat(100 * kilo)),
        ("deep tuples", npy_file(&format!("{{'shape': {}", "(".repeat(60_000)), &[])),
        ("a long number", vec![b'9'; mega]),
        ("a long fraction", [b"0.".as_slice(), &vec![b'1'; mega]].concat()),
        ("a long exponent", [b"1e".as_slice(), &vec![b'9'; mega]].concat()),
        ("a long string", [b"[\"".as_slice(), &vec![b'x'; mega]].concat()),
        ("no UTF-8", vec![0xff; 10 * kilo]),
        ("half a character", b"\xc3".to_vec()),
        ("half a mark", b"\xef\xbb".to_vec()),
        ("only a mark", b"\xef\xbb\xbf".to_vec()),
        ("UTF-16", b"\xff\xfe1\x00\n\x00".to_vec()),
        ("a zip file", b"PK\x03\x04\x14\x00\x00\x00".to_vec()),
        ("only the magic", b"\x93NUMPY".to_vec()),
        ("a huge header", b"\x93NUMPY\x03\x00\xff\xff\xff\xff{'descr'".to_vec()),
        (
            "a huge array",
            npy_file("{'descr': '<f8', 'fortran_order': False, 'shape': (2305843009213693952,), }", &[0; 8]),
        ),
        (
            "an uncountable array",
            npy_file("{'descr': '<i8', 'fortran_order': True, 'shape': (4294967296, 4294967296), }", &[]),
        ),
        (
            "nothing, hugely",
            npy_file("{'descr': '<i8', 'fortran_order': True, 'shape': (0, 18446744073709551615, 9), }", &[]),
        ),
    ];
    let readers = readers();
    for (what, bytes) in &cases {
        for reader in &readers {
            let read = feed(reader, bytes, what);
            if bytes.len() == 1 && bytes[0] == 0 {
                assert!(read.is_err(), "{}: {what}", reader.label);
            }
        }
    }
    // The list of readers is in order: nothing of this is an array file or a JSON array.
    for (what, bytes) in &cases {
        assert!(feed(&readers[0], bytes, what).is_err() || *what == "nothing, hugely", "npy: {what}");
        assert!(feed(&readers[4], bytes, what).is_err(), "json: {what}");
    }
}

#[test]
fn the_checks_of_this_file_do_fail() {
    let panics = Reader { label: "panics", valid: Vec::new(), read: |_| panic!("on purpose") };
    let nameless = Reader { label: "nameless", valid: Vec::new(), read: |_| Err(JobError::bad_input("line 1 is bad")) };
    let placeless =
        Reader { label: "placeless", valid: Vec::new(), read: |_| Err(JobError::bad_input("hostile.input: is bad")) };
    for reader in [panics, nameless, placeless] {
        assert!(catch_unwind(AssertUnwindSafe(|| feed(&reader, b"", "control"))).is_err(), "{}", reader.label);
    }
}
