//! Where to compute, and how precisely: `--device`, `--precision`.

use std::str::FromStr;
use std::sync::OnceLock;

use candle_core::{DType, Device, DeviceLocation};
use relief_autodiff::{Precision, precision, set_precision, sharing};

use crate::exit::Failure;

/// What `--device` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DeviceArgument {
    Cpu,
    /// The CUDA cards of these numbers, at least one.
    Cuda(Vec<usize>),
    /// All CUDA cards.
    All,
    /// The first card if there is one that works, else the CPU.
    Auto,
}

impl FromStr for DeviceArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "cpu" => Ok(Self::Cpu),
            "auto" => Ok(Self::Auto),
            "cuda" => Ok(Self::Cuda(vec![0])),
            "cuda:all" => Ok(Self::All),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|numbers| numbers.split(',').map(|number| number.parse().ok()).collect())
                .map(Self::Cuda)
                .ok_or_else(|| {
                    "give cpu, cuda, cuda:1 (another card), cuda:0,1 (several), cuda:all or auto".to_owned()
                }),
        }
    }
}

/// The device of this process. A card is opened once, because tensors of two openings do not mix.
static CHOSEN: OnceLock<Device> = OnceLock::new();

/// Opens the device that is asked for; the first choice of a process holds.
pub(crate) fn choose(asked: &DeviceArgument) -> Result<(), Failure> {
    let device = match asked {
        DeviceArgument::Cpu => Device::Cpu,
        _ if CHOSEN.get().is_some() => return Ok(()),
        DeviceArgument::Cuda(numbers) => first_of(numbers)?,
        // Where there is none, the first says why.
        DeviceArgument::All => first_of(&(0..relief_autodiff::cuda_count().max(1)).collect::<Vec<_>>())?,
        DeviceArgument::Auto => relief_autodiff::cuda_device(0).unwrap_or_else(|cause| {
            eprintln!("note: {cause}; computing on the CPU");
            Device::Cpu
        }),
    };
    let _ = CHOSEN.set(device);
    Ok(())
}

/// Opens cards; the first of them stands for all, which share its work.
fn first_of(numbers: &[usize]) -> Result<Device, Failure> {
    let advice = if relief_autodiff::cuda_is_compiled_in() {
        "--device cpu computes without a card"
    } else {
        "build it with `cargo build --release --features cuda`, or leave --device out to compute on the CPU"
    };
    relief_autodiff::cuda_devices(numbers)
        .map(|devices| devices.into_iter().next().unwrap_or(Device::Cpu))
        .map_err(|cause| Failure::Input(format!("{cause}: {advice}")))
}

/// How many devices share the work.
pub(crate) fn count() -> usize {
    sharing(&chosen()).map_or(1, |devices| devices.len())
}

/// The device of this process: the CPU unless another was chosen.
pub(crate) fn chosen() -> Device {
    CHOSEN.get().cloned().unwrap_or(Device::Cpu)
}

/// `cpu`, or `cuda:` with the numbers of the cards that share the work.
pub(crate) fn name(device: &Device) -> String {
    let number = |device: &Device| match device.location() {
        DeviceLocation::Cpu => None,
        DeviceLocation::Cuda { gpu_id } | DeviceLocation::Metal { gpu_id } => Some(gpu_id.to_string()),
    };
    let devices = sharing(device).unwrap_or_else(|| vec![device.clone()]);
    let numbers: Vec<String> = devices.iter().filter_map(number).collect();
    if numbers.is_empty() { "cpu".into() } else { format!("cuda:{}", numbers.join(",")) }
}

/// What a run records of its device and of products there: nothing for the CPU, on which digits are always the same; else as
/// options ask for it.
pub(crate) fn recorded() -> Option<String> {
    let device = chosen();
    let reduced = reduced().map(|precision| format!(" --precision {precision}")).unwrap_or_default();
    (!device.is_cpu()).then(|| name(&device) + &reduced)
}

/// Chooses how precisely matrices are multiplied, after the device.
pub(crate) fn choose_precision(asked: Precision) -> Result<(), Failure> {
    if asked != Precision::Full && chosen().is_cpu() {
        return Err(Failure::Usage(format!(
            "--precision {asked} is for products on a card, and this run is on the CPU, which multiplies in full: leave it out, \
             or give --device cuda"
        )));
    }
    set_precision(asked);
    Ok(())
}

/// Refuses products that are less precise than numbers of this type ask for.
pub(crate) fn check_precision(dtype: DType) -> Result<(), Failure> {
    match reduced() {
        Some(precision) if dtype == DType::F64 => Err(Failure::Usage(format!(
            "--precision {precision} is for f32, and this run is in f64: leave one of them out (--dtype f32 computes in f32)"
        ))),
        _ => Ok(()),
    }
}

/// How precisely matrices are multiplied, where that is not in full.
pub(crate) fn reduced() -> Option<Precision> {
    Some(precision()).filter(|&precision| precision != Precision::Full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_named_as_they_are_asked_for() {
        let parsed = |text: &str| text.parse::<DeviceArgument>().ok();
        assert_eq!(parsed("cpu"), Some(DeviceArgument::Cpu));
        assert_eq!(parsed("cuda"), Some(DeviceArgument::Cuda(vec![0])));
        assert_eq!(parsed("cuda:3"), Some(DeviceArgument::Cuda(vec![3])));
        assert_eq!(parsed("cuda:2,0"), Some(DeviceArgument::Cuda(vec![2, 0])));
        assert_eq!(parsed("cuda:all"), Some(DeviceArgument::All));
        assert_eq!(parsed("auto"), Some(DeviceArgument::Auto));
        for wrong in ["cuda:", "gpu", "cuda:-1", "cuda:0,", "cuda:all,1"] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
        assert_eq!(name(&Device::Cpu), "cpu");
    }
}
