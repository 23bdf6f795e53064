//! Ctrl-C: the first asks the running job to stop where it can be resumed, the second stops at once.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::exit::Outcome;

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Installs the handler; without one (no signals here) Ctrl-C keeps its usual meaning.
#[expect(clippy::exit, reason = "the second Ctrl-C is meant to stop at once")]
pub(crate) fn install() {
    let installed = ctrlc::set_handler(|| {
        if REQUESTED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        eprintln!("\nstopping after this product; press Ctrl-C again to stop at once without saving");
    });
    if let Err(error) = installed {
        eprintln!("note: Ctrl-C will not save a state to resume from ({error})");
    }
}

/// Whether Ctrl-C was pressed.
pub(crate) fn requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}

/// Says how to go on with what was saved after so many products.
pub(crate) fn saved(products: usize, state: &Path) -> Outcome {
    eprintln!("interrupted after {products} products; go on with --resume {}", state.display());
    Outcome::Interrupted
}

/// Says that there is nothing to go on from.
pub(crate) fn lost() -> Outcome {
    eprintln!("interrupted: nothing was saved, begin again");
    Outcome::Interrupted
}
