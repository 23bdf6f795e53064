//! Result files: whole or not at all, and refused before the work rather than after it.

use std::io::{IsTerminal, Write};
use std::path::Path;

use relief_plot::Figure;
use relief_plot::terminal::TerminalOptions;
use serde::Serialize;

use crate::arguments::{Format, PrintArguments};
use crate::exit::Failure;
use crate::exports::{self, DataFormat};
use crate::saved::{Kind, Look, Results};

/// Fails now if the file could not be written later.
pub(crate) fn check_writable(path: &Path) -> Result<(), Failure> {
    if path.is_dir() {
        return Err(Failure::Usage(format!("`{}` is a folder: name a file in it", path.display())));
    }
    temporary(path).map(drop)
}

/// Writes bytes under a temporary name in the same folder, then renames.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut file = temporary(path)?;
    file.write_all(bytes).and_then(|()| file.flush()).map_err(|e| refused(path, &e))?;
    file.persist(path).map(drop).map_err(|e| refused(path, &e.error))
}

/// Prints a result as asked, and writes its JSON where asked.
pub(crate) fn present(
    print: &PrintArguments,
    result: &impl Serialize,
    human: impl FnOnce() -> String,
) -> Result<(), Failure> {
    let json = || {
        serde_json::to_string_pretty(result)
            .map_err(|e| Failure::Numbers(format!("the result cannot be written as JSON: {e}")))
    };
    if let Some(path) = &print.output {
        write(path, (json()? + "\n").as_bytes())?;
    }
    let text = match print.format {
        Format::Human => human(),
        Format::Json => json()?,
    };
    self::print(&text);
    Ok(())
}

/// What a file's name ends in, in small letters; empty if in nothing.
pub(crate) fn extension(path: &Path) -> String {
    path.extension().map_or_else(String::new, |e| e.to_string_lossy().to_lowercase())
}

/// Endings of names in a sentence: `.png, .svg and .html`.
pub(crate) fn endings(extensions: &[&str]) -> String {
    let dotted: Vec<String> = extensions.iter().map(|e| format!(".{e}")).collect();
    match dotted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => dotted.concat(),
    }
}

/// What pictures' names end in.
const PICTURES: [&str; 3] = ["png", "svg", "html"];

/// Whether a file's name is that of a picture.
pub(crate) fn is_picture(path: &Path) -> bool {
    PICTURES.contains(&extension(path).as_str())
}

/// Refuses a name that says neither picture nor data that can hold a kind of result, before any work.
pub(crate) fn check_picture(path: &Path, kind: Kind) -> Result<(), Failure> {
    match DataFormat::of(path) {
        Some(format) => format.check(path, kind),
        None if is_picture(path) || extension(path) == "json" => Ok(()),
        None => {
            let data = DataFormat::holding(kind).iter().map(|format| format.extension());
            let all: Vec<&str> = PICTURES.into_iter().chain(["json"]).chain(data).collect();
            Err(Failure::Usage(format!(
                "`{}` ends in none of {}: give the file one of them",
                path.display(),
                endings(&all)
            )))
        }
    }
}

/// Prints a result as asked, with a small picture in `characters` if there is one, and writes it where asked: as a figure,
/// as its JSON, or as data for other programs.
pub(crate) fn present_drawn(
    print: &PrintArguments,
    json: &str,
    human: impl FnOnce() -> String,
    figure: impl FnOnce() -> Result<Figure, Failure>,
    characters: Option<String>,
) -> Result<(), Failure> {
    if let Some(path) = &print.output {
        match DataFormat::of(path) {
            Some(format) => exports::save(path, format, &Results::of(json, "the result")?)?,
            None if extension(path) == "json" => write(path, format!("{json}\n").as_bytes())?,
            None => figure()?.save(path)?,
        }
    }
    match print.format {
        Format::Json => self::print(json),
        Format::Human => {
            self::print(&human());
            if let Some(picture) = characters {
                self::print(&format!("\n{picture}"));
            }
        }
    }
    Ok(())
}

/// Prints a result as asked, and writes it where asked: as its JSON, or as what `relief plot` makes of that.
pub(crate) fn present_saved(
    print: &PrintArguments,
    result: &impl Serialize,
    human: impl FnOnce() -> String,
) -> Result<(), Failure> {
    let json = serde_json::to_string_pretty(result).map_err(|e| Failure::Numbers(e.to_string()))?;
    let figure = || Results::of(&json, "the result")?.group()?.figure("", Look::default());
    present_drawn(print, &json, human, figure, None)
}

/// How pictures in characters come out here: in colour where a person sees them and wants it.
pub(crate) fn characters(rows: usize) -> TerminalOptions {
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    TerminalOptions { rows, colour, ..TerminalOptions::default() }
}

/// Prints a result.
pub(crate) fn print(text: &str) {
    // A reader that has closed the pipe (`| head`) has what it wanted.
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn temporary(path: &Path) -> Result<tempfile::NamedTempFile, Failure> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new();
    file.prefix(".relief-");
    // Temporary files are their owner's alone: results are read by whoever the user lets read files.
    #[cfg(unix)]
    file.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    file.tempfile_in(folder).map_err(|e| refused(path, &e))
}

fn refused(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Usage(format!(
        "`{}` cannot be written ({error}): choose a folder that exists and is yours",
        path.display()
    ))
}
