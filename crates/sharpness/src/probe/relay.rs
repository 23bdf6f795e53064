//! One observer for searches and estimates that follow each other.

use relief_hessian::{Control, Estimating, Observer, Progress};

/// Passes progress on, with the products of what came before.
pub(crate) struct Relay<'a> {
    observer: &'a mut dyn Observer,
    before: usize,
    last: Option<Progress>,
}

impl<'a> Relay<'a> {
    pub(crate) fn new(observer: &'a mut dyn Observer) -> Self {
        Self { observer, before: 0, last: None }
    }

    /// Something that took so many products is done.
    pub(crate) fn begin_anew(&mut self, products: usize) {
        self.before += products;
    }
}

impl Observer for Relay<'_> {
    fn product(&mut self, progress: &Progress) -> Control {
        self.last = Some(*progress);
        let products = self.before + progress.products;
        self.observer.product(&Progress { products, ..*progress })
    }
}

impl Observer<Estimating> for Relay<'_> {
    fn product(&mut self, progress: &Estimating) -> Control {
        // What the last search found stays the news.
        let Some(last) = self.last else { return Control::Continue };
        let products = self.before + progress.products;
        self.observer.product(&Progress { products, max_products: progress.max_products, ..last })
    }
}
