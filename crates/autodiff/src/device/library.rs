//! Libraries that are looked for when they are needed, not when the program starts or is built.

/// A table of a library's functions, all of which answer with a status; `find` fills it, or names what is missing.
macro_rules! functions {
    ($(#[$doc:meta])* $name:ident { $($field:ident = $symbol:literal ($($argument:ty),* $(,)?)),* $(,)? }) => {
        $(#[$doc])*
        pub(crate) struct $name {
            $(pub(crate) $field: unsafe extern "C" fn($($argument),*) -> std::ffi::c_int),*
        }

        impl $name {
            /// # Safety
            ///
            /// What `lookup` finds under a name must be the function of that name, and stay loaded.
            pub(crate) unsafe fn find(
                lookup: &dyn Fn(&str) -> Option<*mut std::ffi::c_void>,
            ) -> std::result::Result<Self, String> {
                Ok(Self {
                    $($field: {
                        let found = lookup($symbol).ok_or_else(|| $symbol.to_owned())?;
                        // SAFETY: the caller says that it is this function; all pointers to functions have one size.
                        unsafe {
                            std::mem::transmute::<
                                *mut std::ffi::c_void,
                                unsafe extern "C" fn($($argument),*) -> std::ffi::c_int,
                            >(found)
                        }
                    }),*
                })
            }
        }
    };
}
pub(crate) use functions;

/// Says where a function of a name is.
#[cfg(any(feature = "cudnn", feature = "nccl"))]
pub(crate) type Lookup<'a> = dyn Fn(&str) -> Option<*mut std::ffi::c_void> + 'a;

/// Opens the first of these files that the loader finds, and fills a table from it. What is opened stays so.
#[cfg(any(feature = "cudnn", feature = "nccl"))]
pub(super) fn open<T>(
    name: &str,
    files: &[&str],
    find: impl FnOnce(&Lookup<'_>) -> std::result::Result<T, String>,
) -> std::result::Result<T, String> {
    // SAFETY: NVIDIA's libraries do nothing when they are loaded that could disturb this program.
    let opened = files.iter().find_map(|file| unsafe { libloading::Library::new(*file) }.ok());
    let Some(library) = opened else {
        return Err(format!("{name} was not found: put the folder of {} into LD_LIBRARY_PATH", files[0]));
    };
    let library: &'static libloading::Library = Box::leak(Box::new(library));
    let lookup = |symbol: &str| {
        // SAFETY: only the address is taken.
        let found = unsafe { library.get::<unsafe extern "C" fn()>(symbol) }.ok()?;
        Some(*found as *mut std::ffi::c_void)
    };
    find(&lookup).map_err(|missing| format!("{name} has no function `{missing}`: use another version"))
}
