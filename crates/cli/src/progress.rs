//! A bar on stderr that counts products; invisible where stderr is no terminal.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use relief_hessian::{Control, Estimating, Observer, Progress, SpectrumObserver, SpectrumProgress};

use crate::{interrupt, numbers};

/// Shows a solver's progress and passes Ctrl-C on to it.
pub(crate) struct Bar {
    bar: ProgressBar,
    /// When the work is to stop for a moment, so that its state can be saved.
    pause: Option<Instant>,
}

impl Bar {
    pub(crate) fn new(what: &str) -> Self {
        let bar = ProgressBar::new_spinner().with_prefix(what.to_string());
        let style = "{spinner} {prefix}  {pos} products  {elapsed} elapsed  {msg}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, pause: None }
    }

    /// Which part of the work the products are for.
    pub(crate) fn at(&self, part: String) {
        self.bar.set_prefix(part);
    }

    /// What is being done before the first product.
    pub(crate) fn say(&self, message: &str) {
        self.bar.set_message(message.to_string());
    }

    /// Prints a line on stderr.
    pub(crate) fn note(&self, text: &str) {
        self.bar.suspend(|| eprintln!("{text}"));
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// Stops the work after that time, resumably; too long a time is none.
    pub(crate) fn pause_after(&mut self, wait: Duration) {
        self.pause = Instant::now().checked_add(wait);
    }

    /// Whether the work goes on.
    pub(crate) fn control(&self) -> Control {
        let due = self.pause.is_some_and(|pause| Instant::now() >= pause);
        if due || interrupt::requested() { Control::Interrupt } else { Control::Continue }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Bar {
    fn product(&mut self, progress: &Progress) -> Control {
        self.bar.set_position(progress.products as u64);
        let value = progress.leading_value.map_or(String::new(), |v| {
            format!("leading {}", numbers::with_bound(v, progress.leading_residual))
        });
        let found = format!(
            "{value}  residual {}  {} of {} converged",
            numbers::small(progress.leading_residual),
            progress.converged,
            progress.wanted
        );
        self.bar.set_message(found);
        self.control()
    }
}

impl Observer<Estimating> for Bar {
    fn product(&mut self, progress: &Estimating) -> Control {
        self.bar.set_position(progress.products as u64);
        let found = progress.value.zip(progress.error_estimate).map_or(String::new(), |(value, error)| {
            format!("{} +- {}   ", numbers::with_bound(value, error), numbers::small(error))
        });
        self.bar.set_message(format!("{found}{} planned so far", progress.planned));
        self.control()
    }
}

impl SpectrumObserver for Bar {
    fn product(&mut self, progress: &SpectrumProgress) -> Control {
        let SpectrumProgress { products, max_products, probe, probes, step, steps, .. } = *progress;
        if self.bar.length().is_none() {
            // The number of products is known from here on, and so is the time left.
            self.bar.set_length(max_products as u64);
            let style = "{prefix}  {bar:30} {pos}/{len} products  {elapsed} elapsed, {eta} left  {msg}";
            if let Ok(style) = ProgressStyle::with_template(style) {
                self.bar.set_style(style);
            }
            // Those of a run that is resumed took no time in this one.
            self.bar.set_position(products as u64 - 1);
            self.bar.reset_eta();
        }
        self.bar.set_position(products as u64);
        self.bar.set_message(format!("vector {} of {probes}, step {step} of {steps}", probe + 1));
        self.control()
    }
}

/// A bar that counts the steps of a training, and says when its state is to be saved.
pub(crate) struct StepBar {
    bar: ProgressBar,
    saved: Instant,
}

/// Between two saved states.
const SAVE_EVERY: Duration = Duration::from_secs(5);

impl StepBar {
    /// Of so many steps, some of which are done.
    pub(crate) fn new(what: &str, steps: usize, done: usize) -> Self {
        let bar = ProgressBar::new(steps as u64).with_prefix(what.to_string());
        let style = "{prefix}  {bar:30} {pos}/{len} steps  {elapsed} elapsed, {eta} left  {msg}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar.set_position(done as u64);
        bar.reset_eta();
        Self { bar, saved: Instant::now() }
    }

    /// Shows the step, and says whether the state is to be saved.
    pub(crate) fn at(&mut self, step: usize, message: &str) -> bool {
        self.bar.set_position(step as u64);
        self.bar.set_message(message.to_string());
        let save = self.saved.elapsed() >= SAVE_EVERY;
        if save {
            self.saved = Instant::now();
        }
        save
    }
}

impl Drop for StepBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
