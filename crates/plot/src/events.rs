//! `TensorBoard` event files, written without a protobuf library.
//!
//! A file is a sequence of records, each `length u64 | masked CRC of the length | bytes | masked CRC of the bytes`, all
//! little-endian. The bytes are one protobuf message `Event`, of which only the few fields written here matter:
//!
//! | message | fields |
//! |---|---|
//! | `Event` | 1 wall time (`double`), 2 step, 3 file version (first record only), 5 `Summary` |
//! | `Summary` | 1 `Value` |
//! | `Value` | 1 tag, 2 scalar (`float`), 4 `Image`, 8 `Tensor`, 9 `Metadata` |
//! | `Image` | 1 height, 2 width, 3 channels, 4 encoded bytes |
//! | `Tensor` | 1 element type, 2 shape, 8 strings |
//! | `Metadata` | 1 `Plugin` (1 its name), 4 class of the data |

mod crc32c;
mod png_header;
mod wire;

use std::{
    fs::{File, OpenOptions, create_dir_all},
    io::{BufWriter, ErrorKind, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{PlotError, Result};
use png_header::PngHeader;
use wire::Message;

/// TensorFlow's number of the element type "string".
const DT_STRING: u64 = 7;
/// `TensorBoard`'s number of the data class "tensor".
const DATA_CLASS_TENSOR: u64 = 2;

/// Writes scalars, pictures and texts for `TensorBoard`.
///
/// Records are buffered: [`flush`](Self::flush) makes what was written visible to a running `TensorBoard` and is the
/// only way to learn that the last records could not be written, as dropping the writer writes them but keeps silent.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: BufWriter<File>,
    wall_time: Option<f64>,
}

impl EventWriter {
    /// A new file in `folder`, which is made where it is missing; a file that is there already is left alone.
    pub fn create(folder: &Path) -> Result<Self> {
        make_folder(folder)?;
        let seconds = now() as u64;
        let mut number = 0_u32;
        loop {
            let path = folder.join(format!("events.out.tfevents.{seconds}.relief.{number}"));
            match new_file(&path) {
                Ok(file) => return Self::start(path, file, None),
                Err(source) if source.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(source) => return Err(PlotError::Write { path, source }),
            }
        }
    }

    /// The new file `path`, all of whose events bear `wall_time`: the same calls write the same bytes.
    ///
    /// `TensorBoard` takes up only files whose name contains `tfevents`.
    pub fn at(path: &Path, wall_time: f64) -> Result<Self> {
        if let Some(folder) = path.parent() {
            make_folder(folder)?;
        }
        let path = path.to_owned();
        match new_file(&path) {
            Ok(file) => Self::start(path, file, Some(wall_time)),
            Err(source) => Err(PlotError::Write { path, source }),
        }
    }

    fn start(path: PathBuf, file: File, wall_time: Option<f64>) -> Result<Self> {
        let mut writer = Self { path, file: BufWriter::new(file), wall_time };
        let mut event = Message::default();
        event.double(1, writer.time());
        event.bytes(3, b"brain.Event:2");
        writer.record(&event)?;
        Ok(writer)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The time of the events from here on, in seconds since 1970; `None` asks the clock at each.
    pub fn set_wall_time(&mut self, seconds: Option<f64>) {
        self.wall_time = seconds;
    }

    /// One point of the curve `tag`, in single precision as `TensorBoard` keeps it; NaN and infinities stay what they
    /// are, and finite numbers beyond single precision become infinite.
    pub fn scalar(&mut self, step: i64, tag: &str, value: f64) -> Result<()> {
        self.value(step, tag, |message| message.float(2, value as f32))
    }

    /// A picture of `size` (width, height) pixels that is a PNG file already.
    pub fn png(&mut self, step: i64, tag: &str, size: (u32, u32), png: &[u8]) -> Result<()> {
        let header = PngHeader::of(png).ok_or_else(|| {
            PlotError::Data(format!("the picture for TensorBoard's tag {tag:?} is not a PNG"))
        })?;
        if header.size != size {
            return Err(PlotError::Data(format!(
                "the picture for TensorBoard's tag {tag:?} has {} x {} pixels, not {} x {}",
                header.size.0, header.size.1, size.0, size.1
            )));
        }
        let mut image = Message::default();
        image.integer(1, u64::from(size.1));
        image.integer(2, u64::from(size.0));
        image.integer(3, header.channels);
        image.bytes(4, png);
        self.value(step, tag, |message| message.message(4, &image))
    }

    /// A text in Markdown.
    pub fn text(&mut self, step: i64, tag: &str, markdown: &str) -> Result<()> {
        let mut plugin = Message::default();
        plugin.bytes(1, b"text");
        let mut metadata = Message::default();
        metadata.message(1, &plugin);
        metadata.integer(4, DATA_CLASS_TENSOR);
        let mut tensor = Message::default();
        tensor.integer(1, DT_STRING);
        // An empty shape is that of one string; none at all would be a tensor of unknown rank.
        tensor.message(2, &Message::default());
        tensor.bytes(8, markdown.as_bytes());
        self.value(step, tag, |message| {
            message.message(8, &tensor);
            message.message(9, &metadata);
        })
    }

    /// Hands everything written so far to the operating system.
    pub fn flush(&mut self) -> Result<()> {
        self.file.flush().map_err(|source| PlotError::Write { path: self.path.clone(), source })
    }

    fn value(&mut self, step: i64, tag: &str, fill: impl FnOnce(&mut Message)) -> Result<()> {
        if tag.is_empty() {
            return Err(PlotError::Data("a value for TensorBoard needs a tag that is not empty".to_owned()));
        }
        let mut value = Message::default();
        value.bytes(1, tag.as_bytes());
        fill(&mut value);
        let mut summary = Message::default();
        summary.message(1, &value);
        let mut event = Message::default();
        event.double(1, self.time());
        // Protobuf writes a negative `int64` as the unsigned number with the same bits.
        event.integer(2, step as u64);
        event.message(5, &summary);
        self.record(&event)
    }

    fn record(&mut self, event: &Message) -> Result<()> {
        let bytes = event.as_bytes();
        let length = (bytes.len() as u64).to_le_bytes();
        let (length_crc, bytes_crc) = (crc32c::masked(&length), crc32c::masked(bytes));
        [&length[..], &length_crc.to_le_bytes(), bytes, &bytes_crc.to_le_bytes()]
            .into_iter()
            .try_for_each(|part| self.file.write_all(part))
            .map_err(|source| PlotError::Write { path: self.path.clone(), source })
    }

    fn time(&self) -> f64 {
        self.wall_time.unwrap_or_else(now)
    }
}

fn make_folder(folder: &Path) -> Result<()> {
    create_dir_all(folder).map_err(|source| PlotError::Write { path: folder.to_owned(), source })
}

fn new_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Seconds since 1970, 0 on a machine whose clock is set before that.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::{EventWriter, OpenOptions, Path};

    #[test]
    fn a_full_disk_is_an_error_that_names_the_file() {
        let path = Path::new("/dev/full");
        let file = OpenOptions::new().write(true).open(path).unwrap();
        // The buffer takes the first records: the disk is asked only when it is full.
        let mut events = EventWriter::start(path.to_owned(), file, Some(0.0)).unwrap();
        events.scalar(0, "loss", 1.0).unwrap();
        let error = events.flush().unwrap_err().to_string();
        assert!(error.starts_with("cannot write /dev/full: "), "{error}");
        let error = events.text(0, "notes", &"long ".repeat(10_000)).unwrap_err().to_string();
        assert!(error.starts_with("cannot write /dev/full: "), "{error}");
    }
}
