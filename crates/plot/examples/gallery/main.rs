//! Draws every kind of figure, and hostile ones: `cargo run --release -p relief-plot --example gallery -- FOLDER`.

mod figures;
mod hostile;

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder: PathBuf = std::env::args().nth(1).ok_or("give the folder that the pictures go to")?.into();
    std::fs::create_dir_all(&folder)?;
    for (name, figure) in figures::all().into_iter().chain(hostile::all()) {
        // A pixel for every unit, so that all of it is small enough to be kept with the sources.
        std::fs::write(folder.join(format!("{name}.png")), figure.png(1.0)?)?;
    }
    figures::growing().save(folder.join("animation.gif"))?;
    Ok(())
}
