//! The devices that the generic tests run on.

use candle_core::Device;
use std::sync::OnceLock;

/// The CPU and, in a build with the feature `cuda`, the first card; where there is none, a line on stderr says so.
pub(crate) fn devices() -> &'static [Device] {
    static DEVICES: OnceLock<Vec<Device>> = OnceLock::new();
    DEVICES.get_or_init(|| {
        let mut devices = vec![Device::Cpu];
        if relief_autodiff::cuda_is_compiled_in() {
            match relief_autodiff::cuda_device(0) {
                Ok(card) => devices.push(card),
                // Past the capture of tests' output, which would hide it where they pass.
                Err(cause) => say(&format!("{cause}; these tests ran on the CPU alone")),
            }
        }
        devices
    })
}

fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}
