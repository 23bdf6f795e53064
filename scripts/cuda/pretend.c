/* Cards that are none: as much of the CUDA driver, cuBLAS, cuRAND and NVRTC as the tests of `--features cuda` call, on the host.
   NVRTC's part compiles kernels with the C++ compiler, the driver's part runs them thread by thread, fresh memory is full of NaN.
   It shows that arguments, addresses, launches and shapes are right; nothing of a card's timing, and nothing of its rounding.
   `pretend.sh` uses it. The kernels of candle that are needed are written anew, by their names and arguments.
   With PRETEND_COUNTS set nothing is computed and memory is zero: only what a card would be asked for is counted, and said at
   the end. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef uint64_t Address;

/* ---- counts ---- */

enum { OURS, CANDLES, PRODUCTS_OF_MATRICES, TO_CARD, BYTES_TO_CARD, FROM_CARD, BYTES_FROM_CARD, ALLOCATIONS, KINDS };
static const char *kinds[KINDS] = {"ours", "candle", "matrix", "to_card", "bytes_to_card",
                                   "from_card", "bytes_from_card", "allocation"};
static unsigned long tally[KINDS];
static int only_counting;

__attribute__((constructor)) static void begin(void) { only_counting = getenv("PRETEND_COUNTS") != NULL; }
static void note(int kind, size_t by) { __atomic_fetch_add(&tally[kind], by, __ATOMIC_RELAXED); }
__attribute__((destructor)) static void tell(void)
{
    for (int kind = 0; only_counting && kind < KINDS; kind++)
        fprintf(stderr, "pretend: %s %lu\n", kinds[kind], tally[kind]);
}

/* ---- the driver: two cards, each with its range of addresses, every stream done at once ---- */

#define CARDS 2
#define RANGE ((size_t)1 << 38)
static char *ranges[CARDS];
static size_t taken[CARDS];
static __thread void *current;

int cuInit(unsigned flags)
{
    for (int card = 0; card < CARDS && !ranges[card]; card++) {
        ranges[card] = mmap(NULL, RANGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (ranges[card] == MAP_FAILED) return 2;
    }
    return 0;
}
int cuDeviceGet(int *card, int number) { return number < 0 || number >= CARDS ? 101 : (*card = number, 0); }
int cuDeviceGetCount(int *count) { *count = CARDS; return 0; }
int cuDeviceGetAttribute(int *value, int which, int card) { *value = 1; return 0; }
int cuDevicePrimaryCtxRetain(void **context, int card) { *context = (void *)(size_t)(1 + card); return 0; }
int cuDevicePrimaryCtxRelease_v2(int card) { return 0; }
int cuCtxSetCurrent(void *context) { current = context; return 0; }
int cuCtxGetCurrent(void **context) { *context = current; return 0; }
int cuCtxSynchronize(void) { return 0; }
/* A stream is known by its card. */
int cuStreamCreate(void **stream, unsigned flags) { *stream = current; return 0; }
int cuStreamDestroy_v2(void *stream) { return 0; }
int cuStreamSynchronize(void *stream) { return 0; }
int cuStreamWaitEvent(void *stream, void *event, unsigned flags) { return 0; }
int cuEventCreate(void **event, unsigned flags) { *event = current; return 0; }
int cuEventRecord(void *event, void *stream) { return event == stream ? 0 : 400; }
int cuEventDestroy_v2(void *event) { return 0; }
int cuDeviceGetDefaultMemPool(void **pool, int card) { *pool = (void *)1; return 0; }
int cuMemPoolSetAttribute(void *pool, int which, void *value) { return 0; }
int cuMemGetInfo_v2(size_t *free, size_t *total) { *free = *total = (size_t)1 << 36; return 0; }
int cuGetExportTable(const void **table, const void *id) { *table = NULL; return 500; }

/* The stream of the card on which an address is. */
static void *stream_of(Address address)
{
    for (int card = 0; card < CARDS; card++)
        if ((char *)address >= ranges[card] && (char *)address < ranges[card] + RANGE) return (void *)(size_t)(1 + card);
    return NULL;
}
/* Whether something in this stream may touch this address. */
static int reaches(void *stream, Address address)
{
    int does = !address || stream_of(address) == stream;
    if (!does) fprintf(stderr, "pretend.c: work on card %zu reads or writes memory of another\n", (size_t)stream - 1);
    return does;
}

/* Memory comes once, and is given back in whole pages; a page between two allocations is never touched. */
int cuMemAllocAsync(Address *address, size_t bytes, void *stream)
{
    size_t card = (size_t)stream - 1, whole = (bytes + 8191) / 4096 * 4096;
    if (card >= CARDS || !bytes) return 1;
    size_t at = __atomic_fetch_add(&taken[card], whole + 4096, __ATOMIC_SEQ_CST);
    if (at + whole + 4096 > RANGE) return 2;
    char *memory = ranges[card] + at;
    *(size_t *)memory = whole;
    *address = (Address)(memory + 4096);
    note(ALLOCATIONS, 1);
    /* Fresh pages are zero. */
    if (!only_counting) memset(memory + 4096, 0xff, bytes);
    return 0;
}
int cuMemFreeAsync(Address address, void *stream)
{
    char *memory = (char *)address - 4096;
    return reaches(stream, address) ? madvise(memory, *(size_t *)memory, MADV_DONTNEED) : 1;
}
int cuMemcpyPeerAsync(Address to, void *to_context, Address from, void *from_context, size_t bytes, void *stream)
{
    if (!reaches(to_context, to) || !reaches(from_context, from)) return 1;
    memcpy((void *)to, (void *)from, bytes);
    return 0;
}
int cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t bytes, void *stream)
{
    note(TO_CARD, 1);
    note(BYTES_TO_CARD, bytes);
    memcpy((void *)to, from, bytes);
    return 0;
}
int cuMemcpyDtoHAsync_v2(void *to, Address from, size_t bytes, void *stream)
{
    note(FROM_CARD, 1);
    note(BYTES_FROM_CARD, bytes);
    memcpy(to, (void *)from, bytes);
    return 0;
}
int cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, void *stream)
{
    memcpy((void *)to, (void *)from, bytes);
    return 0;
}
int cuMemsetD8Async(Address to, unsigned char value, size_t bytes, void *stream)
{
    memset((void *)to, value, bytes);
    return 0;
}

/* ---- NVRTC: what it makes of a program is the path of a library ---- */

#define PREFIX "// pretend: "
static const char *PRELUDE =
    "#include <math.h>\n#include <stddef.h>\n"
    "#define __device__\n#define __global__\n"
    "struct Three { unsigned x, y, z; };\n"
    "extern \"C\" { thread_local Three blockIdx, blockDim, threadIdx;\n"
    "void set_thread(unsigned b, unsigned d, unsigned t) { blockIdx.x = b; blockDim.x = d; threadIdx.x = t; } }\n";

int nvrtcCreateProgram(char **program, const char *text, const char *name, int headers, void *a, void *b)
{
    char folder[] = P_tmpdir "/pretend-XXXXXX", command[300];
    if (!mkdtemp(folder) || asprintf(program, PREFIX "%s/kernels.so", folder) < 0) return 1;
    snprintf(command, sizeof command, "c++ -O1 -w -ffp-contract=off -shared -fPIC -x c++ -o %s/kernels.so -", folder);
    FILE *compiler = popen(command, "w");
    fprintf(compiler, "%s%s", PRELUDE, text);
    return pclose(compiler) ? 6 : 0;
}
int nvrtcCompileProgram(char *program, int count, const char **options) { return 0; }
int nvrtcGetPTXSize(char *program, size_t *size) { *size = strlen(program) + 1; return 0; }
int nvrtcGetPTX(char *program, char *code) { strcpy(code, program); return 0; }
int nvrtcDestroyProgram(char **program) { return 0; }

/* ---- modules and launches ---- */

typedef struct {
    void *library;
    char name[64];
} Function;

/* candle's own modules have no text: their functions are known by name. */
int cuModuleLoadData(void **module, const void *image)
{
    const char *text = image;
    int ours = !strncmp(text, PREFIX, strlen(PREFIX));
    *module = ours ? dlopen(text + strlen(PREFIX), RTLD_NOW) : (void *)1;
    if (ours) {
        /* What is loaded stays so without its file. */
        char path[300];
        snprintf(path, sizeof path, "%s", text + strlen(PREFIX));
        unlink(path);
        *strrchr(path, '/') = 0;
        rmdir(path);
    }
    return *module ? 0 : 200;
}
int cuModuleUnload(void *module) { return 0; }
int cuModuleGetFunction(Function **function, void *module, const char *name)
{
    *function = calloc(1, sizeof **function);
    (*function)->library = module == (void *)1 ? NULL : module;
    strncpy((*function)->name, name, 63);
    return module == (void *)1 || dlsym(module, name) ? 0 : 500;
}

/* As `Arguments` in `crates/autodiff/src/device.rs`. */
typedef struct {
    unsigned long long in[8], out[3];
    unsigned size[24];
    double number[16];
} Arguments;

/* bfloat16 is the upper half of an f32. */
static float from_bf16(uint16_t half)
{
    uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}
static uint16_t to_bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

static double get(const char *type, Address from, size_t at)
{
    if (!strcmp(type, "bf16")) return from_bf16(((uint16_t *)from)[at]);
    if (!strcmp(type, "f32")) return ((float *)from)[at];
    if (!strcmp(type, "f64")) return ((double *)from)[at];
    if (!strcmp(type, "u32")) return ((uint32_t *)from)[at];
    if (!strcmp(type, "i64")) return ((int64_t *)from)[at];
    return ((uint8_t *)from)[at];
}
static void set(const char *type, Address to, size_t at, double value)
{
    if (!strcmp(type, "bf16")) ((uint16_t *)to)[at] = to_bf16(value);
    else if (!strcmp(type, "f32")) ((float *)to)[at] = value;
    else if (!strcmp(type, "f64")) ((double *)to)[at] = value;
    else if (!strcmp(type, "u32")) ((uint32_t *)to)[at] = value;
    else if (!strcmp(type, "i64")) ((int64_t *)to)[at] = value;
    else ((uint8_t *)to)[at] = value;
}

/* Where entry i lies; layouts are lengths, then strides, or nothing where entries lie in their order. */
static size_t place(size_t i, size_t rank, const size_t *dims, const size_t *strides)
{
    size_t at = 0;
    for (size_t k = rank; dims && k-- > 0; i /= dims[k]) at += i % dims[k] * strides[k];
    return dims ? at : i;
}

#define NUMBER(k) (*(size_t *)given[k])
#define IS(prefix) (!strncmp(name, prefix, strlen(prefix)))

static int candles(const char *name, unsigned blocks, void **given)
{
    char copy[64];
    strcpy(copy, name);
    char *last = strrchr(copy, '_'), *type = last + 1;
    if (IS("copy2d_")) {
        unsigned *rows = given[2], *columns = given[3], *from = given[4], *to = given[5];
        for (unsigned i = 0; i < *rows; i++)
            for (unsigned j = 0; j < *columns; j++)
                set(type, NUMBER(1), (size_t)i * *to + j, get(type, NUMBER(0), (size_t)i * *from + j));
        return 0;
    }
    size_t count = NUMBER(0);
    if (IS("fast_max_") || IS("fast_sum_")) {
        size_t each = NUMBER(1), rank = NUMBER(2), *dims = (size_t *)NUMBER(3);
        for (size_t o = 0; o < (IS("fast_sum_small_") ? count : blocks); o++) {
            double result = IS("fast_max_") ? -INFINITY : 0;
            for (size_t k = 0; k < each; k++) {
                double x = get(type, NUMBER(4), place(o * each + k, rank, dims, dims + rank));
                result = IS("fast_max_") ? fmax(result, x) : result + x;
            }
            set(type, NUMBER(5), o, result);
        }
        return 0;
    }
    size_t rank = NUMBER(1), *dims = (size_t *)NUMBER(2);
    for (size_t i = 0; i < count; i++) {
        size_t at = place(i, rank, dims, dims + rank);
        if (IS("ucopy_")) {
            set(type, NUMBER(4), i, get(type, NUMBER(3), at));
        } else if (IS("cast_")) {
            *last = 0;
            set(type, NUMBER(4), i, get(copy + 5, NUMBER(3), at));
        } else if (IS("const_set_")) {
            set(type, NUMBER(4), at, get(type, (Address)given[3], 0));
        } else if (IS("affine_")) {
            double factor = get(type, (Address)given[5], 0), offset = get(type, (Address)given[6], 0);
            set(type, NUMBER(4), i, get(type, NUMBER(3), at) * factor + offset);
        } else if (IS("badd_") || IS("bsub_") || IS("bmul_")) {
            double x = get(type, NUMBER(3), at), y = get(type, NUMBER(4), place(i, rank, dims, dims + 2 * rank));
            set(type, NUMBER(5), i, IS("badd_") ? x + y : IS("bsub_") ? x - y : x * y);
        } else {
            fprintf(stderr, "pretend.c has no kernel %s: write it\n", name);
            return 500;
        }
    }
    return 0;
}

int cuLaunchKernel(Function *function, unsigned blocks, unsigned y, unsigned z, unsigned threads, unsigned ty, unsigned tz,
                   unsigned shared, void *stream, void **given, void **extra)
{
    if (current != stream) return 201;
    note(function->library ? OURS : CANDLES, 1);
    if (only_counting) return 0;
    if (!function->library) return candles(function->name, blocks, given);
    const Arguments *arguments = given[1];
    for (int k = 0; k < 8; k++)
        if (!reaches(stream, arguments->in[k])) return 700;
    for (int k = 0; k < 3; k++)
        if (!reaches(stream, arguments->out[k])) return 700;
    void (*kernel)(unsigned, Arguments) = dlsym(function->library, function->name);
    void (*set_thread)(unsigned, unsigned, unsigned) = dlsym(function->library, "set_thread");
    for (unsigned block = 0; block < blocks; block++)
        for (unsigned thread = 0; thread < threads; thread++) {
            set_thread(block, threads, thread);
            kernel(*(unsigned *)given[0], *(Arguments *)given[1]);
        }
    return 0;
}

/* ---- cuBLAS: matrices lie column by column ---- */

int cublasCreate_v2(void **handle) { *handle = current; return 0; }
int cublasDestroy_v2(void *handle) { return 0; }
int cublasSetStream_v2(void *handle, void *stream) { return 0; }

#define PRODUCTS(T, Z, VALUE)                                                                           \
    if (!reaches(handle, (Address)a) || !reaches(handle, (Address)b) || !reaches(handle, (Address)c)) return 13; \
    note(PRODUCTS_OF_MATRICES, 1);                                                                      \
    if (only_counting) return 0;                                                                        \
    for (int batch = 0; batch < count; batch++) {                                                       \
        const T *x = (const T *)a + batch * stride_a, *y = (const T *)b + batch * stride_b;             \
        Z *z = (Z *)c + batch * stride_c;                                                               \
        for (long j = 0; j < n; j++)                                                                    \
            for (long i = 0; i < m; i++) {                                                              \
                double sum = 0;                                                                         \
                for (long l = 0; l < k; l++)                                                            \
                    sum += (double)VALUE(x[turn_a ? i * ld_a + l : l * ld_a + i]) *                     \
                           VALUE(y[turn_b ? l * ld_b + j : j * ld_b + l]);                              \
                z[j * ld_c + i] = sum;                                                                  \
            }                                                                                           \
    }                                                                                                   \
    return 0;

int cublasGemmStridedBatchedEx(void *handle, int turn_a, int turn_b, int m, int n, int k, const void *alpha, const void *a,
                               int type_a, int ld_a, long long stride_a, const void *b, int type_b, int ld_b,
                               long long stride_b, const void *beta, void *c, int type_c, int ld_c, long long stride_c,
                               int count, int compute, int algorithm)
{
    if (type_a == 14) {
        PRODUCTS(uint16_t, float, from_bf16)
    }
    PRODUCTS(float, float, )
}
int cublasDgemmStridedBatched(void *handle, int turn_a, int turn_b, int m, int n, int k, const double *alpha, const double *a,
                              int ld_a, long long stride_a, const double *b, int ld_b, long long stride_b,
                              const double *beta, double *c, int ld_c, long long stride_c, int count)
{
    PRODUCTS(double, double, )
}

/* ---- cuDNN ---- */

#include "../../crates/autodiff/tests/pretend/cudnn.c"

/* ---- NCCL ---- */

#include "../../crates/autodiff/tests/pretend/nccl.c"

/* ---- cuRAND, which is opened and never used ---- */

int curandCreateGenerator(void **generator, int kind) { *generator = (void *)1; return 0; }
int curandSetStream(void *generator, void *stream) { return 0; }
int curandSetPseudoRandomGeneratorSeed(void *generator, unsigned long long seed) { return 0; }
int curandDestroyGenerator(void *generator) { return 0; }
