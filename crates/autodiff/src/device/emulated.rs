//! The device for tests without one: the kernels' own text, compiled by the host's C compiler, on CPU tensors.

use candle_core::{CpuStorage, DType, Device, Storage, Tensor};
use parking_lot::Mutex;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::OnceLock;

use super::cudnn::{Cudnn, functions::Functions};
use super::foreign::Foreign;
use super::precision::Precision;
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
    static WITH_CUDNN: Cell<bool> = const { Cell::new(false) };
    static PRECISION: Cell<Option<Precision>> = const { Cell::new(None) };
}

/// What the running test chose.
pub(super) fn precision() -> Option<Precision> {
    PRECISION.get()
}

/// Runs something with products as precise as this.
pub(super) fn with_precision<R>(precision: Precision, run: impl FnOnce() -> R) -> R {
    PRECISION.set(Some(precision));
    let result = run();
    PRECISION.set(None);
    result
}

/// Runs something with convolutions through the cuDNN that is none.
pub(super) fn with_cudnn<R>(run: impl FnOnce() -> R) -> R {
    WITH_CUDNN.set(true);
    let result = run();
    WITH_CUDNN.set(false);
    result
}

/// `tests/pretend/cudnn.c`, where the running test asks for it.
pub(super) fn cudnn() -> Option<&'static Mutex<Cudnn>> {
    static LIBRARY: OnceLock<Mutex<Cudnn>> = OnceLock::new();
    let library = || {
        let lookup = library("cudnn", include_str!("../../tests/pretend/cudnn.c"));
        // SAFETY: the library has functions with the signatures of cuDNN's, which is what is tested.
        let functions = unsafe { Functions::find(&lookup) }.expect("all functions");
        Mutex::new(Cudnn::new(Box::leak(Box::new(functions)), 1).expect("a start"))
    };
    WITH_CUDNN.get().then(|| LIBRARY.get_or_init(library))
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
pub(super) fn launch(call: &Call<'_>, list: &[&Tensor], name: &str, count: usize) -> Result<Vec<Tensor>> {
    LAUNCHED.with_borrow_mut(|launched| launched.insert(name.to_owned()));
    let (mut inputs, mut listed) = (fenced(name, call.inputs), fenced(name, list));
    if !listed.is_empty() {
        let table: Vec<u64> = listed.iter_mut().map(|array| array.address() as u64).collect();
        inputs.push(Fenced::of(&table));
    }
    let mut outputs: Vec<Fenced> =
        call.outputs.iter().map(|dtype| Fenced::new(count * dtype.size_in_bytes())).collect();
    let [from, to] = [&mut inputs, &mut outputs]
        .map(|arrays| arrays.iter_mut().map(|array| array.address() as u64).collect::<Vec<_>>());
    // SAFETY: the kernel has this signature, and arrays have the lengths that its sizes promise, which is what is tested.
    unsafe { kernel(call.module, name)(count as u32, call.arguments(&from, &to)) };
    outputs.into_iter().zip(call.outputs).map(|(array, &dtype)| tensor(array, dtype, call.shape)).collect()
}

/// Calls a library on CPU tensors; see [`Foreign::run`].
pub(super) fn foreign(
    call: &Foreign<'_>,
    run: impl FnOnce(&[u64], u64, u64) -> Result<()>,
) -> Result<Tensor> {
    LAUNCHED.with_borrow_mut(|launched| launched.insert(call.name.to_owned()));
    let mut inputs = fenced(call.name, call.inputs);
    let count: usize = call.shape.iter().product();
    let (mut output, mut room) = (Fenced::new(count * call.dtype.size_in_bytes()), Fenced::new(call.room));
    let from: Vec<u64> = inputs.iter_mut().map(|array| array.address() as u64).collect();
    run(&from, output.address() as u64, room.address() as u64)?;
    tensor(output, call.dtype, call.shape)
}

/// Copies of contiguous tensors.
fn fenced(name: &str, tensors: &[&Tensor]) -> Vec<Fenced> {
    let one = |tensor: &&Tensor| {
        let (storage, layout) = tensor.storage_and_layout();
        assert!(layout.is_contiguous(), "{name}: an argument is not contiguous");
        let range = layout.start_offset()..layout.start_offset() + tensor.elem_count();
        match &*storage {
            Storage::Cpu(CpuStorage::F32(x)) => Fenced::of(&x[range]),
            Storage::Cpu(CpuStorage::F64(x)) => Fenced::of(&x[range]),
            Storage::Cpu(CpuStorage::U32(x)) => Fenced::of(&x[range]),
            Storage::Cpu(CpuStorage::BF16(x)) => Fenced::of(&x[range]),
            _ => panic!("{name}: an argument is no number that kernels know"),
        }
    };
    tensors.iter().map(one).collect()
}

fn tensor(array: Fenced, dtype: DType, shape: &[usize]) -> Result<Tensor> {
    let count = shape.iter().product();
    Ok(match dtype {
        DType::F32 => Tensor::from_vec(array.entries::<f32>(count), shape, &Device::Cpu)?,
        DType::F64 => Tensor::from_vec(array.entries::<f64>(count), shape, &Device::Cpu)?,
        DType::BF16 => {
            // The upper halves of f32.
            let entries =
                array.entries::<u16>(count).into_iter().map(|half| f32::from_bits(u32::from(half) << 16));
            Tensor::from_vec(entries.collect::<Vec<_>>(), shape, &Device::Cpu)?.to_dtype(dtype)?
        }
        _ => Tensor::from_vec(array.entries::<u32>(count), shape, &Device::Cpu)?,
    })
}

fn kernel(module: &str, name: &str) -> Kernel {
    static LIBRARIES: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());
    let mut libraries = LIBRARIES.lock();
    let compiled = || loaded(module, &source::for_the_host(module));
    let library = *libraries.entry(module.to_owned()).or_insert_with(compiled);
    let found = symbol(library, name);
    let found = found.unwrap_or_else(|| panic!("there is no kernel {name}"));
    // SAFETY: the library stays open, and the symbol is a function with the signature of all kernels.
    unsafe { std::mem::transmute::<*mut c_void, Kernel>(found) }
}

/// A function of a loaded library.
fn symbol(library: usize, name: &str) -> Option<*mut c_void> {
    let name = CString::new(name).expect("a name");
    // SAFETY: the library stays open.
    let found = unsafe { dlsym(library as *mut c_void, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

/// Finds functions of a library that is none, given its text.
pub(super) fn library(name: &str, code: &str) -> impl Fn(&str) -> Option<*mut c_void> {
    let library = loaded(name, code);
    move |function| symbol(library, function)
}

/// A text in C as a loaded library.
fn loaded(name: &str, code: &str) -> usize {
    const NOW: c_int = 2;
    let folder = std::env::temp_dir().join(format!("relief-kernels-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let (text, library) = (folder.join("kernels.c"), folder.join("kernels.so"));
    std::fs::write(&text, code).expect("a file");
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
