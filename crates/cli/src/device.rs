//! Where to compute: `--device`.

use std::str::FromStr;
use std::sync::OnceLock;

use candle_core::{Device, DeviceLocation};

use crate::exit::Failure;

/// What `--device` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeviceArgument {
    Cpu,
    /// The CUDA card of this number.
    Cuda(usize),
    /// The first card if there is one that works, else the CPU.
    Auto,
}

impl FromStr for DeviceArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "cpu" => Ok(Self::Cpu),
            "auto" => Ok(Self::Auto),
            "cuda" => Ok(Self::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|number| number.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| "give cpu, cuda, cuda:1 (another card) or auto".to_owned()),
        }
    }
}

/// The device of this process. A card is opened once, because tensors of two openings do not mix.
static CHOSEN: OnceLock<Device> = OnceLock::new();

/// Opens the device that is asked for; the first choice of a process holds.
pub(crate) fn choose(asked: DeviceArgument) -> Result<(), Failure> {
    let device = match asked {
        DeviceArgument::Cpu => Device::Cpu,
        _ if CHOSEN.get().is_some() => return Ok(()),
        DeviceArgument::Cuda(number) => relief_autodiff::cuda_device(number).map_err(|cause| {
            let advice = if relief_autodiff::cuda_is_compiled_in() {
                "--device cpu computes without a card"
            } else {
                "build it with `cargo build --release --features cuda`, or leave --device out to compute on the CPU"
            };
            Failure::Input(format!("{cause}: {advice}"))
        })?,
        DeviceArgument::Auto => relief_autodiff::cuda_device(0).unwrap_or_else(|cause| {
            eprintln!("note: {cause}; computing on the CPU");
            Device::Cpu
        }),
    };
    let _ = CHOSEN.set(device);
    Ok(())
}

/// The device of this process: the CPU unless another was chosen.
pub(crate) fn chosen() -> Device {
    CHOSEN.get().cloned().unwrap_or(Device::Cpu)
}

/// `cpu`, or `cuda:` with the card's number.
pub(crate) fn name(device: &Device) -> String {
    match device.location() {
        DeviceLocation::Cpu => "cpu".into(),
        DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
    }
}

/// What a run records of its device: nothing for the CPU, on which digits are always the same.
pub(crate) fn recorded() -> Option<String> {
    let device = chosen();
    (!device.is_cpu()).then(|| name(&device))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_as_they_are_asked_for() {
        let parsed = |text: &str| text.parse::<DeviceArgument>().ok();
        assert_eq!(parsed("cpu"), Some(DeviceArgument::Cpu));
        assert_eq!(parsed("cuda"), Some(DeviceArgument::Cuda(0)));
        assert_eq!(parsed("cuda:3"), Some(DeviceArgument::Cuda(3)));
        assert_eq!(parsed("auto"), Some(DeviceArgument::Auto));
        assert_eq!([parsed("cuda:"), parsed("gpu"), parsed("cuda:-1")], [None; 3]);
        assert_eq!(name(&Device::Cpu), "cpu");
    }
}
