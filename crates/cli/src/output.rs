//! Result files: whole or not at all, and refused before the work rather than after it.

use std::io::{IsTerminal, Write};
use std::path::Path;

use relief_plot::Figure;
use relief_plot::terminal::TerminalOptions;
use serde::Serialize;

use crate::arguments::{Format, PrintArguments};
use crate::exit::Failure;

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

/// Refuses a name that says neither picture nor data, before any work.
pub(crate) fn check_picture(path: &Path) -> Result<(), Failure> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("svg" | "png" | "html" | "json") => Ok(()),
        _ => Err(Failure::Usage(format!(
            "`{}` ends in none of .png, .svg, .html and .json: give the file one of them",
            path.display()
        ))),
    }
}

/// Prints a result as asked, with a small picture in `characters` if there is one, and writes it where asked: as a figure,
/// or as its JSON.
pub(crate) fn present_drawn(
    print: &PrintArguments,
    json: &str,
    human: impl FnOnce() -> String,
    figure: impl FnOnce() -> Result<Figure, Failure>,
    characters: Option<String>,
) -> Result<(), Failure> {
    match &print.output {
        Some(path) if path.extension().is_some_and(|e| e == "json") => {
            write(path, format!("{json}\n").as_bytes())?;
        }
        Some(path) => figure()?.save(path)?,
        None => {}
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
    tempfile::Builder::new().prefix(".relief-").tempfile_in(folder).map_err(|e| refused(path, &e))
}

fn refused(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Usage(format!(
        "`{}` cannot be written ({error}): choose a folder that exists and is yours",
        path.display()
    ))
}
