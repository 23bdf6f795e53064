//! Progress over checkpoints, on stderr.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use relief_hessian::{Control, Observer, Progress};

use crate::interrupt;

/// Counts checkpoints, and the products of the one at work.
pub(crate) struct CheckpointBar {
    bar: ProgressBar,
    name: String,
}

impl CheckpointBar {
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::new(0).with_prefix("track");
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, name: String::new() }
    }

    /// So many checkpoints are known of.
    pub(crate) fn expects(&self, files: usize) {
        self.bar.set_length(files as u64);
        let style = "{prefix}  {bar:30} {pos}/{len} checkpoints  {elapsed} elapsed, {eta} left  {msg}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            self.bar.set_style(style);
        }
    }

    /// A checkpoint is begun.
    pub(crate) fn begins(&mut self, name: &str) {
        if !self.name.is_empty() {
            self.bar.inc(1);
        }
        self.name = name.to_string();
        self.bar.set_message(self.name.clone());
    }
}

impl Observer for CheckpointBar {
    fn product(&mut self, progress: &Progress) -> Control {
        self.bar.set_message(format!("{}: {} products", self.name, progress.products));
        if interrupt::requested() { Control::Interrupt } else { Control::Continue }
    }
}

impl Drop for CheckpointBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
