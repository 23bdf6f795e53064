//! The text of the kernels, for a CUDA compiler and for a host compiler.

/// The kernels that move, add and multiply; those that move numbers of two bytes; functions of one variable, which take
/// longer to compile; long vectors of doubles.
pub(super) const MODULES: [(&str, &str); 4] = [
    ("kernels", concat!(include_str!("unfold.cu"), include_str!("kernels.cu"))),
    (MOVES, include_str!("unfold.cu")),
    ("functions", include_str!("functions.cu")),
    ("vectors", include_str!("vectors.cu")),
];
/// The module for bfloat16.
pub(super) const MOVES: &str = "moves";

/// What all kernels receive, as in [`Arguments`](super::Arguments), and how they reach it.
const ARGUMENTS: &str = r"
typedef struct {
    unsigned long long in[8], out[3];
    unsigned size[24];
    double number[16];
} Arguments;
#define IN(k) ((const REAL *)a.in[k])
#define OUT(k) ((REAL *)a.out[k])
#define DOUBLES(k) ((const double *)a.in[k])
#define DOUBLES_OUT(k) ((double *)a.out[k])
#define INTEGERS(k) ((const unsigned *)a.in[k])
#define INTEGERS_OUT(k) ((unsigned *)a.out[k])
#define SIZE(k) (a.size[k])
#define NUMBER(k) (a.number[k])
#define PASTED(name, suffix) name##_##suffix
#define WITH_SUFFIX(name, suffix) PASTED(name, suffix)
#define NAME(name) WITH_SUFFIX(name, SUFFIX)
";

/// A function's derivatives, and the kernels that map it; in a chain's module the derivatives alone.
const FUNCTION: &str = r"
#define TAYLOR(name, ...)                                                               \
    HELPER void NAME(taylor_##name)(double *d, double x, double p, double q)            \
    {                                                                                   \
        (void)p, (void)q;                                                               \
        __VA_ARGS__                                                                     \
    }
#define FUNCTION(name, ...)                                                             \
    TAYLOR(name, __VA_ARGS__)                                                           \
    KERNEL(map_##name)                                                                  \
    {                                                                                   \
        EACH(i)                                                                         \
        {                                                                               \
            double d[4];                                                                \
            unsigned order = SIZE(0);                                                   \
            NAME(taylor_##name)(d, (double)IN(0)[i], NUMBER(0), NUMBER(1));             \
            OUT(0)[i] = (REAL)(order == 0 ? d[0] : order == 1 ? d[1] : order == 2 ? d[2] : d[3]); \
        }                                                                               \
    }                                                                                   \
    KERNEL(jet_##name)                                                                  \
    {                                                                                   \
        EACH(i)                                                                         \
        {                                                                               \
            double d[4];                                                                \
            NAME(taylor_##name)(d, (double)IN(0)[i], NUMBER(0), NUMBER(1));             \
            OUT(0)[i] = (REAL)d[0];                                                     \
            OUT(1)[i] = (REAL)d[1];                                                     \
            if (SIZE(0)) OUT(2)[i] = (REAL)d[2];                                        \
        }                                                                               \
    }
";
/// See [`FUNCTION`].
const FUNCTION_IN_A_CHAIN: &str = r"
#define TAYLOR(name, ...)                                                               \
    HELPER void NAME(taylor_##name)(double *d, double x, double p, double q)            \
    {                                                                                   \
        (void)p, (void)q;                                                               \
        __VA_ARGS__                                                                     \
    }
#define FUNCTION(name, ...) TAYLOR(name, __VA_ARGS__)
";

/// A thread for every entry.
#[cfg(feature = "cuda")]
const ON_THE_DEVICE: &str = r#"
#define HELPER static __device__ inline
#define KERNEL(name) extern "C" __global__ void NAME(name)(unsigned count, const Arguments a)
#define EACH(i) unsigned i = blockIdx.x * blockDim.x + threadIdx.x; if (i < count)
"#;

/// A loop over all entries.
#[cfg(all(test, unix))]
const ON_THE_HOST: &str = r"
#include <math.h>
#include <stddef.h>
#define HELPER static inline
#define KERNEL(name) void NAME(name)(unsigned count, const Arguments a)
#define EACH(i) for (unsigned i = 0; i < count; i++)
";

/// One of the [`MODULES`], or a chain, for NVRTC.
#[cfg(feature = "cuda")]
pub(super) fn for_the_device(module: &str) -> String {
    compilation_unit(ON_THE_DEVICE, module)
}

/// One of the [`MODULES`], or a chain, for a C compiler.
#[cfg(all(test, unix))]
pub(super) fn for_the_host(module: &str) -> String {
    compilation_unit(ON_THE_HOST, module)
}

#[cfg(any(feature = "cuda", all(test, unix)))]
fn compilation_unit(language: &str, module: &str) -> String {
    let known = MODULES.iter().find(|(name, _)| *name == module).map(|(_, body)| (*body).to_owned());
    let (function, body) = match (known, super::chain::text(module)) {
        (Some(body), _) => (FUNCTION, body),
        // With the functions that it may call.
        (None, text) => {
            (FUNCTION_IN_A_CHAIN, format!("{}\n{}", include_str!("functions.cu"), text.unwrap_or_default()))
        }
    };
    let for_type = |real: &str, suffix: &str| {
        format!("#define REAL {real}\n#define SUFFIX {suffix}\n{body}\n#undef REAL\n#undef SUFFIX\n")
    };
    let types: &[_] =
        if module == MOVES { &[("unsigned short", "bf16")] } else { &[("float", "f32"), ("double", "f64")] };
    let bodies: String = types.iter().map(|(real, suffix)| for_type(real, suffix)).collect();
    format!("{language}{ARGUMENTS}{function}{bodies}")
}
