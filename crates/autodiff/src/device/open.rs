//! Finding a card.

use candle_core::Device;

use crate::{Error, Result};

/// Whether this program was built with the feature `cuda`.
pub fn cuda_is_compiled_in() -> bool {
    cfg!(feature = "cuda")
}

/// The CUDA card of this number, counted from 0. Tensors of two calls do not mix: open a card once.
///
/// All work on it goes through one stream, so that operations run in the order in which they were asked for, whatever
/// thread asks. (`Device::new_cuda` gives every thread a stream of its own: a tensor that one thread made could then be read by
/// another before it is there.)
#[cfg(feature = "cuda")]
pub fn cuda_device(ordinal: usize) -> Result<Device> {
    let refused = |cause: &str| Error::NoDevice { cause: in_words(cause) };
    // Where a library is missing, cudarc may panic instead of answering.
    let opened = std::panic::catch_unwind(|| Device::new_cuda_with_stream(ordinal));
    match opened {
        Ok(Ok(device)) => {
            if let Device::Cuda(cuda) = &device {
                // SAFETY: one stream does everything in its order, so no event has to say that another's work is done.
                unsafe { cuda.disable_event_tracking() };
                #[cfg(feature = "cudnn")]
                super::cuda::cudnn(cuda).map_err(|cause| Error::NoDevice { cause: cause.to_string() })?;
            }
            keep_freed_memory(ordinal);
            Ok(device)
        }
        Ok(Err(cause)) => Err(refused(&cause.to_string())),
        Err(_) => Err(refused("CUDA_ERROR_STUB_LIBRARY")),
    }
}

/// Tells the driver not to give freed memory back to the system: it would at every copy to the host, and fetch it again.
#[cfg(feature = "cuda")]
fn keep_freed_memory(ordinal: usize) {
    use candle_core::cuda_backend::cudarc::driver::sys;

    let (mut card, mut pool, mut threshold) = (0, std::ptr::null_mut(), u64::MAX);
    // SAFETY: plain calls of the driver with places for their answers. Without success memory is slower, and nothing else.
    unsafe {
        let found = sys::cuDeviceGet(&raw mut card, ordinal as i32) == sys::CUresult::CUDA_SUCCESS
            && sys::cuDeviceGetDefaultMemPool(&raw mut pool, card) == sys::CUresult::CUDA_SUCCESS;
        if found {
            let what = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
            let _ = sys::cuMemPoolSetAttribute(pool, what, (&raw mut threshold).cast());
        }
    }
}

/// The CUDA card of this number; without the feature `cuda` there is none.
#[cfg(not(feature = "cuda"))]
pub fn cuda_device(_ordinal: usize) -> Result<Device> {
    Err(Error::NoDevice { cause: "this program was built without the feature `cuda`".into() })
}

/// The driver's complaint, and what to do.
#[cfg(any(feature = "cuda", test))]
fn in_words(cause: &str) -> String {
    let known = [
        ("CUDA_ERROR_STUB_LIBRARY", "no NVIDIA driver (libcuda.so.1) was found"),
        ("CUDA_ERROR_NO_DEVICE", "the NVIDIA driver finds no card"),
        ("CUDA_ERROR_INVALID_DEVICE", "there is no card of this number"),
        ("CUBLAS_STATUS", "cuBLAS was not found or does not work: put its folder into LD_LIBRARY_PATH"),
        ("CURAND", "cuRAND was not found or does not work: put its folder into LD_LIBRARY_PATH"),
    ];
    let words = known.into_iter().find(|(code, _)| cause.contains(code)).map(|(_, words)| words);
    // The rest of a message is a trace of the program.
    words.unwrap_or_else(|| cause.lines().next().unwrap_or("CUDA does not answer")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drivers_complaints_are_put_into_words() {
        let stub = "DriverError(CUDA_ERROR_STUB_LIBRARY, \"...\")\n   0: a trace";
        assert!(in_words(stub).contains("driver"), "{}", in_words(stub));
        assert!(in_words("DriverError(CUDA_ERROR_NO_DEVICE, ..)").contains("no card"));
        assert_eq!(in_words("something else\n   0: a trace"), "something else");
    }
}
