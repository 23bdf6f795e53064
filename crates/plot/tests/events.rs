//! Event files: re-read by a reader written from the format's description, and by `TensorBoard` itself.

use std::{collections::BTreeMap, env, fs, path::Path, process::Command};

use relief_plot::{EventWriter, PlotError};
use serde_json::{Value, json};
use tempfile::tempdir;

/// CRC-32C bit by bit, unlike the crate's.
fn masked(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82F6_3B78 * (crc & 1));
        }
    }
    (!crc).rotate_right(15).wrapping_add(0xA282_EAD8)
}

/// The records of a file, whose checksums must hold.
fn records(mut file: &[u8]) -> Vec<&[u8]> {
    let mut records = Vec::new();
    while !file.is_empty() {
        let (length, rest) = file.split_at(8);
        let (length_crc, rest) = rest.split_at(4);
        assert_eq!(length_crc, masked(length).to_le_bytes());
        let (record, rest) = rest.split_at(u64::from_le_bytes(length.try_into().unwrap()) as usize);
        let (record_crc, rest) = rest.split_at(4);
        assert_eq!(record_crc, masked(record).to_le_bytes());
        records.push(record);
        file = rest;
    }
    records
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

/// The fields of a message, each as its bytes; an integer as eight of them.
fn fields(mut message: &[u8]) -> BTreeMap<u64, Vec<u8>> {
    let mut fields = BTreeMap::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let value = match key & 7 {
            0 => varint(&mut message).to_le_bytes().to_vec(),
            kind => {
                let length = match kind {
                    1 => 8,
                    2 => varint(&mut message) as usize,
                    5 => 4,
                    _ => panic!("wire type {kind}"),
                };
                let (value, rest) = message.split_at(length);
                message = rest;
                value.to_vec()
            }
        };
        assert!(fields.insert(key >> 3, value).is_none());
    }
    fields
}

fn integer(bytes: &[u8]) -> i64 {
    i64::from_le_bytes(bytes.try_into().unwrap())
}

/// A PNG of 3 x 2 pixels.
fn picture() -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 3, 2);
    encoder.set_color(png::ColorType::Rgb);
    let pixels: Vec<u8> = (0..18).map(|i| i * 14).collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    file
}

fn write_all_kinds(path: &Path) {
    let mut events = EventWriter::at(path, 1000.25).unwrap();
    for (step, loss) in [(0, 2.5), (1, f64::NAN), (2, f64::INFINITY), (3, f64::NEG_INFINITY), (-7, 1e300)] {
        events.scalar(step, "loss/train", loss).unwrap();
    }
    events.set_wall_time(Some(1001.5));
    events.scalar(i64::MAX, "hessian/lambda_1", 0.1).unwrap();
    events.png(4, "landscape", (3, 2), &picture()).unwrap();
    events.text(5, "notes", "**sharp** λ₁ = 12\n\n| a | b |\n|---|---|\n| 1 | 2 |").unwrap();
    events.text(6, "notes", "").unwrap();
    events.flush().unwrap();
}

#[test]
fn every_kind_of_event_is_read_back() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a/b/events.out.tfevents.1000.test");
    write_all_kinds(&path);
    let file = fs::read(&path).unwrap();
    let records = records(&file);
    assert_eq!(records.len(), 1 + 6 + 1 + 2);

    let first = fields(records[0]);
    assert_eq!(first[&1], 1000.25_f64.to_le_bytes());
    assert_eq!(first[&3], b"brain.Event:2");
    assert_eq!(first.len(), 2);

    let value = |record: &[u8]| {
        let event = fields(record);
        (event[&1].clone(), integer(&event[&2]), fields(&fields(&event[&5])[&1]))
    };
    for (record, (step, loss)) in records[1..6].iter().zip([
        (0, 2.5),
        (1, f32::NAN),
        (2, f32::INFINITY),
        (3, f32::NEG_INFINITY),
        (-7, f32::INFINITY),
    ]) {
        let (time, found_step, value) = value(record);
        assert_eq!((time, found_step), (1000.25_f64.to_le_bytes().to_vec(), step));
        assert_eq!(value[&1], b"loss/train");
        let found = f32::from_le_bytes(value[&2][..].try_into().unwrap());
        assert!(found.total_cmp(&loss).is_eq(), "{found} is not {loss}");
    }
    let (time, step, scalar) = value(records[6]);
    assert_eq!((time, step), (1001.5_f64.to_le_bytes().to_vec(), i64::MAX));
    assert_eq!(scalar[&2], 0.1_f32.to_le_bytes());

    let (_, step, png) = value(records[7]);
    assert_eq!((step, &png[&1][..]), (4, &b"landscape"[..]));
    let image = fields(&png[&4]);
    assert_eq!([1, 2, 3].map(|field| integer(&image[&field])), [2, 3, 3]);
    assert_eq!(image[&4], picture());

    let (_, _, text) = value(records[8]);
    let tensor = fields(&text[&8]);
    assert_eq!((integer(&tensor[&1]), &tensor[&2][..]), (7, &[][..]));
    assert!(tensor[&8].starts_with("**sharp** λ₁".as_bytes()));
    assert_eq!(fields(&fields(&text[&9])[&1])[&1], b"text");
}

#[test]
fn the_same_calls_write_the_same_bytes() {
    let folder = tempdir().unwrap();
    let [a, b] = ["a.tfevents", "b.tfevents"].map(|name| folder.path().join(name));
    write_all_kinds(&a);
    write_all_kinds(&b);
    assert_eq!(fs::read(a).unwrap(), fs::read(b).unwrap());
}

#[test]
fn writers_in_one_folder_do_not_share_a_file() {
    let folder = tempdir().unwrap();
    let run = folder.path().join("runs/new");
    let mut writers: Vec<_> = (0..12).map(|_| EventWriter::create(&run).unwrap()).collect();
    for (i, writer) in writers.iter_mut().enumerate() {
        let name = writer.path().file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("events.out.tfevents.1") && name.contains(".relief."), "{name}");
        writer.scalar(i as i64, "x", 1.0).unwrap();
    }
    drop(writers);
    let files: Vec<_> = fs::read_dir(&run).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 12);
    for file in files {
        let bytes = fs::read(file).unwrap();
        let records = records(&bytes);
        assert_eq!(records.len(), 2);
        // Dates between 2020 and 2100: the clock's time in seconds.
        let time = f64::from_le_bytes(fields(records[1])[&1][..].try_into().unwrap());
        assert!((1.5e9..4.1e9).contains(&time), "{time}");
    }
}

#[test]
fn errors_name_what_is_wrong() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("x.tfevents");
    let mut events = EventWriter::at(&path, 0.0).unwrap();

    let error = EventWriter::at(&path, 0.0).unwrap_err();
    assert!(matches!(error, PlotError::Write { .. }) && error.to_string().contains("x.tfevents"), "{error}");
    let error = EventWriter::create(&path).unwrap_err();
    assert!(matches!(error, PlotError::Write { .. }) && error.to_string().contains("x.tfevents"), "{error}");

    let error = events.png(0, "surface", (3, 2), b"<svg/>").unwrap_err();
    assert!(error.to_string().contains("\"surface\" is not a PNG"), "{error}");
    let error = events.png(0, "surface", (2, 3), &picture()).unwrap_err();
    assert!(error.to_string().contains("3 x 2 pixels, not 2 x 3"), "{error}");
    assert!(events.scalar(0, "", 1.0).is_err());

    // What was refused left no trace.
    events.flush().unwrap();
    assert_eq!(records(&fs::read(&path).unwrap()).len(), 1);
}

/// `TensorBoard`'s own readers, run by the Python interpreter that `RELIEF_TENSORBOARD_PYTHON` names.
#[test]
#[ignore = "needs Python with tensorboard: set RELIEF_TENSORBOARD_PYTHON"]
fn tensorboard_reads_every_kind_of_event() {
    let python = env::var_os("RELIEF_TENSORBOARD_PYTHON").expect(
        "RELIEF_TENSORBOARD_PYTHON must name a Python interpreter with the packages of tests/tensorboard/requirements.txt",
    );
    let folder = tempdir().unwrap();
    let path = folder.path().join("events.out.tfevents.1000.test");
    write_all_kinds(&path);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tensorboard/read.py");
    let output = Command::new(python).arg(script).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let hex: String = picture().iter().map(|byte| format!("{byte:02x}")).collect();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = json!({
        "records": 10,
        "version": "brain.Event:2",
        "scalars": {
            "loss/train": [
                [1000.25, 0, 2.5], [1000.25, 1, "nan"], [1000.25, 2, "inf"], [1000.25, 3, "-inf"], [1000.25, -7, "inf"]
            ],
            "hessian/lambda_1": [[1001.5, i64::MAX, f64::from(0.1_f32)]],
        },
        "images": { "landscape": [[1001.5, 4, 3, 2, hex]] },
        "channels": [3],
        "texts": {
            "notes": [
                [1001.5, 5, "**sharp** λ₁ = 12\n\n| a | b |\n|---|---|\n| 1 | 2 |"],
                [1001.5, 6, ""],
            ]
        },
        "plugins": {
            "loss/train": "scalars", "hessian/lambda_1": "scalars", "landscape": "images", "notes": "text"
        },
    });
    assert_eq!(found, expected);
}
