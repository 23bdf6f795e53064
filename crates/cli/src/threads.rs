//! The threads that work is shared between: where they are as many as the processors, each has one to itself.
//!
//! A thread that slept is woken on the processor of the one that woke it, and two then take turns there while another
//! processor idles. Between the short kernels of small products they sleep often: until the system moved them apart, after
//! some ten milliseconds, products took twice as long.

/// Starts the threads: so many, or as many as there are processors.
pub(crate) fn start(threads: Option<usize>) {
    let processors = core_affinity::get_core_ids().unwrap_or_default();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).start_handler(move |nth| {
        if processors.len() == rayon::current_num_threads() {
            core_affinity::set_for_current(processors[nth]);
        }
    });
    // Set once per process: a second verb in one process keeps the first pool.
    let _ = pool.build_global();
}
