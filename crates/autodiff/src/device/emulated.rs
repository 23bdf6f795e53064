//! The device for tests without one: the kernels' own text, compiled by the host's C compiler, on CPU tensors.

use candle_core::{CpuStorage, DType, Device, Storage, Tensor};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::OnceLock;

use super::{Arguments, Call, source};
use crate::Result;

type Kernel = unsafe extern "C" fn(u32, Arguments);

unsafe extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

thread_local! {
    static ON: Cell<bool> = const { Cell::new(false) };
    static LAUNCHED: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

/// Whether operations of this thread go through the device's path.
pub(super) fn is_on() -> bool {
    ON.get()
}

/// Runs something with all operations of this thread on the emulated device; gives the names of the kernels it launched, too.
pub(super) fn on_the_device<R>(run: impl FnOnce() -> R) -> (R, BTreeSet<String>) {
    struct Off;
    impl Drop for Off {
        fn drop(&mut self) {
            ON.set(false);
        }
    }
    LAUNCHED.take();
    ON.set(true);
    let off = Off;
    let result = run();
    drop(off);
    (result, LAUNCHED.take())
}

/// Bytes around every array: a float that is not a number, or an index far outside.
const FENCE: usize = 4096;

/// An array between fences, 8 bytes apart from anything.
struct Fenced(Vec<u64>);

impl Fenced {
    fn new(bytes: usize) -> Self {
        Self(vec![u64::MAX; (2 * FENCE + bytes).div_ceil(8)])
    }

    fn address(&mut self) -> *mut u8 {
        self.0.as_mut_ptr().cast::<u8>().wrapping_add(FENCE)
    }

    fn of<T: Copy>(entries: &[T]) -> Self {
        let mut this = Self::new(size_of_val(entries));
        // SAFETY: the array has room for the entries between its fences.
        unsafe { std::ptr::copy_nonoverlapping(entries.as_ptr(), this.address().cast(), entries.len()) };
        this
    }

    /// The entries, if all were written and no fence was.
    fn entries<T: Copy>(mut self, count: usize) -> Vec<T> {
        let bytes = count * size_of::<T>();
        let all = self.0.len() * 8;
        let start = self.0.as_mut_ptr().cast::<u8>();
        // SAFETY: all bytes of the vector are initialised.
        let whole = unsafe { std::slice::from_raw_parts(start, all) };
        assert!(
            whole[..FENCE].iter().chain(&whole[FENCE + bytes..]).all(|&b| b == u8::MAX),
            "written outside"
        );
        let left = whole[FENCE..FENCE + bytes].chunks_exact(size_of::<T>());
        let left = left.filter(|entry| entry.iter().all(|&b| b == u8::MAX)).count();
        assert!(left == 0, "{left} of {count} results were not written");
        // SAFETY: as above, and any bytes are numbers.
        unsafe { std::slice::from_raw_parts(start.add(FENCE).cast(), count) }.to_vec()
    }
}

/// Runs a kernel on CPU tensors; see [`Call::launch`].
pub(super) fn launch(call: &Call<'_>, name: &str, count: usize) -> Result<Vec<Tensor>> {
    LAUNCHED.with_borrow_mut(|launched| launched.insert(name.to_owned()));
    let mut inputs: Vec<Fenced> = call
        .inputs
        .iter()
        .map(|tensor| {
            let (storage, layout) = tensor.storage_and_layout();
            assert!(layout.is_contiguous(), "{name}: an argument is not contiguous");
            let range = layout.start_offset()..layout.start_offset() + tensor.elem_count();
            match &*storage {
                Storage::Cpu(CpuStorage::F32(x)) => Fenced::of(&x[range]),
                Storage::Cpu(CpuStorage::F64(x)) => Fenced::of(&x[range]),
                Storage::Cpu(CpuStorage::U32(x)) => Fenced::of(&x[range]),
                _ => panic!("{name}: an argument is no number that kernels know"),
            }
        })
        .collect();
    let mut outputs: Vec<Fenced> =
        call.outputs.iter().map(|dtype| Fenced::new(count * dtype.size_in_bytes())).collect();
    let [from, to] = [&mut inputs, &mut outputs]
        .map(|arrays| arrays.iter_mut().map(|array| array.address() as u64).collect::<Vec<_>>());
    // SAFETY: the kernel has this signature, and arrays have the lengths that its sizes promise, which is what is tested.
    unsafe { kernel(call.module, name)(count as u32, call.arguments(&from, &to)) };
    let results = outputs.into_iter().zip(call.outputs).map(|(array, dtype)| {
        Ok(match dtype {
            DType::F32 => Tensor::from_vec(array.entries::<f32>(count), call.shape, &Device::Cpu)?,
            DType::F64 => Tensor::from_vec(array.entries::<f64>(count), call.shape, &Device::Cpu)?,
            _ => Tensor::from_vec(array.entries::<u32>(count), call.shape, &Device::Cpu)?,
        })
    });
    results.collect()
}

fn kernel(module: &str, name: &str) -> Kernel {
    static LIBRARIES: OnceLock<BTreeMap<&'static str, usize>> = OnceLock::new();
    let libraries = LIBRARIES.get_or_init(|| source::MODULES.map(|(name, _)| (name, compiled(name))).into());
    let symbol = CString::new(name).expect("a name");
    // SAFETY: the library stays open, and the symbol is a function with the signature of all kernels.
    unsafe {
        let found = dlsym(libraries[module] as *mut c_void, symbol.as_ptr());
        assert!(!found.is_null(), "there is no kernel {name}");
        std::mem::transmute::<*mut c_void, Kernel>(found)
    }
}

/// A module as a loaded library.
fn compiled(module: &str) -> usize {
    const NOW: c_int = 2;
    let folder = std::env::temp_dir().join(format!("relief-kernels-{}-{module}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let (text, library) = (folder.join("kernels.c"), folder.join("kernels.so"));
    std::fs::write(&text, source::for_the_host(module)).expect("a file");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let output = std::process::Command::new(&compiler)
        .args(["-std=c99", "-O1", "-Wall", "-Werror", "-Wno-unused-variable", "-Wno-unused-function"])
        .args(["-ffp-contract=off", "-shared", "-fPIC", "-o"])
        .args([&library, &text])
        .arg("-lm")
        .output()
        .unwrap_or_else(|cause| panic!("{compiler} does not run: {cause}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let path = CString::new(library.to_str().expect("a plain path")).expect("a plain path");
    // SAFETY: the library has no code that runs when it is loaded.
    let handle = unsafe { dlopen(path.as_ptr(), NOW) };
    assert!(!handle.is_null(), "{} cannot be loaded", library.display());
    // What is loaded stays so without its file.
    let _ = std::fs::remove_dir_all(&folder);
    handle as usize
}
