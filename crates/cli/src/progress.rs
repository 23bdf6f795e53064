//! A bar on stderr that counts products; invisible where stderr is no terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use relief_hessian::{Control, Estimating, Observer, Progress, SpectrumObserver, SpectrumProgress};

use crate::{interrupt, numbers};

/// Shows a solver's progress and passes Ctrl-C on to it.
pub(crate) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    pub(crate) fn new(what: &str) -> Self {
        let bar = ProgressBar::new_spinner().with_prefix(what.to_string());
        let style = "{spinner} {prefix}  {pos} products  {elapsed} elapsed  {msg}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar }
    }

    /// What is being done before the first product.
    pub(crate) fn say(&self, message: &str) {
        self.bar.set_message(message.to_string());
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
        if interrupt::requested() { Control::Interrupt } else { Control::Continue }
    }
}

impl Observer<Estimating> for Bar {
    fn product(&mut self, progress: &Estimating) -> Control {
        self.bar.set_position(progress.products as u64);
        let found = progress.value.zip(progress.error_estimate).map_or(String::new(), |(value, error)| {
            format!("{} +- {}   ", numbers::with_bound(value, error), numbers::small(error))
        });
        self.bar.set_message(format!("{found}{} planned so far", progress.planned));
        if interrupt::requested() { Control::Interrupt } else { Control::Continue }
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
        if interrupt::requested() { Control::Interrupt } else { Control::Continue }
    }
}
