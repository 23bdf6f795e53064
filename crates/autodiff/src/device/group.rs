//! Several cards of one machine that share work.

use candle_core::{Device, Tensor};
use parking_lot::RwLock;

use super::open::cuda_device;
use crate::{Error, Result};

/// Devices that were opened together.
struct Group {
    devices: Vec<Device>,
    #[cfg(feature = "nccl")]
    nccl: parking_lot::Mutex<super::nccl::Nccl>,
}

static GROUPS: RwLock<Vec<Group>> = RwLock::new(vec![]);

/// The CUDA cards of these numbers, to share work: what is computed on the first of them is dealt to all. Open them once.
pub fn cuda_devices(ordinals: &[usize]) -> Result<Vec<Device>> {
    let twice = |(i, n): &(usize, &usize)| ordinals[..*i].contains(*n);
    if let Some((_, number)) = ordinals.iter().enumerate().find(twice) {
        return Err(Error::NoDevice { cause: format!("card {number} is named twice: name each once") });
    }
    let devices = ordinals.iter().map(|&ordinal| cuda_device(ordinal)).collect::<Result<Vec<_>>>()?;
    if devices.len() > 1 {
        #[cfg(feature = "nccl")]
        let nccl = super::nccl::start(ordinals).map_err(|cause| Error::NoDevice { cause })?.into();
        GROUPS.write().push(Group {
            devices: devices.clone(),
            #[cfg(feature = "nccl")]
            nccl,
        });
    }
    Ok(devices)
}

/// How many CUDA cards there are; none without the feature `cuda` or a driver.
pub fn cuda_count() -> usize {
    #[cfg(feature = "cuda")]
    {
        use candle_core::cuda_backend::cudarc::driver::CudaContext;
        // Where a library is missing, cudarc may panic instead of answering.
        let count = std::panic::catch_unwind(CudaContext::device_count);
        count.ok().and_then(std::result::Result::ok).map_or(0, |count| count.max(0) as usize)
    }
    #[cfg(not(feature = "cuda"))]
    0
}

/// The devices that share work with this one, which is the first of them; none where it works alone.
pub fn sharing(device: &Device) -> Option<Vec<Device>> {
    if device.is_cpu() {
        return None;
    }
    GROUPS.read().iter().find(|group| group.of(device)).map(|group| group.devices.clone())
}

impl Group {
    fn of(&self, device: &Device) -> bool {
        self.devices[0].same_device(device)
    }
}

/// The sum of contiguous tensors of doubles, of one shape, one on each of the devices of a group in its order; it is on the
/// first. NCCL adds where it is compiled in and the group was opened by [`cuda_devices`]; else the devices' parts are copied to the first and
/// added in the devices' order.
pub fn sum_over_devices(parts: &[Tensor]) -> Result<Tensor> {
    let first =
        parts.first().ok_or_else(|| Error::Unavailable("a sum over no devices has no shape".into()))?;
    #[cfg(feature = "nccl")]
    if let Some(group) = GROUPS.read().iter().find(|g| g.of(first.device()) && g.devices.len() == parts.len())
    {
        return super::cuda::sum(&group.nccl.lock(), parts);
    }
    let mut sum = first.clone();
    for part in &parts[1..] {
        sum = (sum + moved(part, first.device())?)?;
    }
    Ok(sum)
}

/// A tensor on a device, complete when this returns: streams of two devices do not wait for each other.
pub fn moved(tensor: &Tensor, to: &Device) -> Result<Tensor> {
    if tensor.device().same_device(to) {
        return Ok(tensor.clone());
    }
    let copy = tensor.contiguous()?.to_device(to)?;
    to.synchronize()?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_added_in_the_order_of_the_devices() {
        // (1e16 + 1) + 1 is not 1e16 + (1 + 1).
        let parts =
            [1e16, 1.0, 1.0].map(|x: f64| Tensor::new(&[x, 2.0 * x], &Device::Cpu).expect("a tensor"));
        let sum = sum_over_devices(&parts).and_then(|sum| Ok(sum.to_vec1::<f64>()?)).expect("a sum");
        assert_eq!(sum, [(1e16 + 1.0) + 1.0, (2e16 + 2.0) + 2.0]);
        assert!((1e16 + (1.0 + 1.0) - sum[0]).abs() > 1.0);
        assert!(sum_over_devices(&[]).is_err());
    }

    #[test]
    fn cards_are_named_once_and_the_host_works_alone() {
        let refusal = cuda_devices(&[0, 1, 0]).expect_err("twice");
        assert!(refusal.to_string().contains("card 0 is named twice"), "{refusal}");
        assert!(sharing(&Device::Cpu).is_none());
    }
}
