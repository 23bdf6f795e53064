//! The text of the kernels, for a CUDA compiler and for a host compiler.

/// The kernels that move, add and multiply; those that move numbers of two bytes; functions of one variable, which take
/// longer to compile; functions of rows; long vectors of doubles.
pub(super) const MODULES: [(&str, &str); 5] = [
    ("kernels", concat!(include_str!("unfold.cu"), include_str!("kernels.cu"))),
    (MOVES, include_str!("unfold.cu")),
    ("functions", include_str!("functions.cu")),
    ("rows", include_str!("rows.cu")),
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

/// The sums of a row as [`WARP`] has them, by one thread.
#[cfg(any(feature = "cuda", all(test, unix)))]
const ALONE: &str = r"
#define ENTRIES(j) for (unsigned j = 0; j < width; j++)
#define ONCE
#define OF_LANES(total, start, j, add, x)                                               \
    double total;                                                                       \
    {                                                                                   \
        double lanes[32];                                                               \
        for (unsigned l = 0; l < 32; l++) {                                             \
            lanes[l] = (start);                                                         \
            for (unsigned j = l; j < width; j += 32) lanes[l] = add(lanes[l], (x));     \
        }                                                                               \
        for (unsigned o = 16; o; o /= 2)                                                \
            for (unsigned l = 0; l < o; l++) lanes[l] = add(lanes[l], lanes[l + o]);    \
        total = lanes[0];                                                               \
    }
";

/// 32 threads share a row.
#[cfg(feature = "cuda")]
const WARP: &str = r"
#define ROWS(row)                                                                       \
    unsigned lane = threadIdx.x % 32, row = (blockIdx.x * blockDim.x + threadIdx.x) / 32; \
    if (row < SIZE(0))
#define ENTRIES(j) for (unsigned j = lane; j < width; j += 32)
#define ONCE if (lane == 0)
#define OF_LANES(total, start, j, add, x)                                               \
    double total = (start);                                                             \
    ENTRIES(j) total = add(total, (x));                                                 \
    for (int o = 16; o; o /= 2) total = add(total, __shfl_xor_sync(0xffffffffu, total, o));
";

/// What the sums are made of.
#[cfg(any(feature = "cuda", all(test, unix)))]
const OF_ROWS: &str = r"
#define PLUS(x, y) ((x) + (y))
#define SUM(total, j, x) OF_LANES(total, 0.0, j, PLUS, x)
#define LARGEST(most, j, x) OF_LANES(most, -1.7976931348623157e308, j, fmax, x)
";

/// A thread for every entry.
#[cfg(feature = "cuda")]
const ON_THE_DEVICE: &str = r#"
#define HELPER static __device__ inline
#define KERNEL(name) extern "C" __global__ void NAME(name)(unsigned count, const Arguments a)
#define EACH(i) unsigned i = blockIdx.x * blockDim.x + threadIdx.x; if (i < count)
"#;

/// Where threads run one after the other, as on a driver that is none, each takes a row.
#[cfg(feature = "cuda")]
const ROWS_ALONE: &str = r"
#define ROWS(row) unsigned row = blockIdx.x * blockDim.x + threadIdx.x; if (row < SIZE(0))
";

/// A loop over all entries.
#[cfg(all(test, unix))]
const ON_THE_HOST: &str = r"
#include <math.h>
#include <stddef.h>
#define HELPER static inline
#define KERNEL(name) void NAME(name)(unsigned count, const Arguments a)
#define EACH(i) for (unsigned i = 0; i < count; i++)
#define ROWS(row) for (unsigned row = 0; row < SIZE(0); row++)
";

/// One of the [`MODULES`], or a chain, for NVRTC.
#[cfg(feature = "cuda")]
pub(super) fn for_the_device(module: &str) -> String {
    let rows = format!("#ifdef __CUDACC_RTC__\n{WARP}\n#else\n{ROWS_ALONE}{ALONE}\n#endif\n");
    compilation_unit(&format!("{ON_THE_DEVICE}{rows}"), module)
}

/// One of the [`MODULES`], or a chain, for a C compiler.
#[cfg(all(test, unix))]
pub(super) fn for_the_host(module: &str) -> String {
    compilation_unit(&format!("{ON_THE_HOST}{ALONE}"), module)
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
    format!("{language}{OF_ROWS}{ARGUMENTS}{function}{bodies}")
}
