/* A cuDNN that is none: what the engine calls of it, for images that lie channels last, in plain loops. It refuses what the
   real one may refuse, first offers algorithms that must not be taken, and fails where one of them is. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int kind;
    int size[16];
} Descriptor;
typedef struct {
    int algorithm, status;
    float time;
    size_t memory;
    int determinism, mathematics, reserved[3];
} Candidate;

#define ROOM 192
#define TAKEN 5
enum { TENSOR = 1, FILTER, CONVOLUTION };

static int make_descriptor(Descriptor **made, int kind)
{
    *made = calloc(1, sizeof **made);
    (*made)->kind = kind;
    return 0;
}
int cudnnCreate(void **handle) { *handle = malloc(1); return 0; }
int cudnnSetStream(void *handle, void *stream) { return stream ? 0 : 2000; }
int cudnnCreateTensorDescriptor(Descriptor **made) { return make_descriptor(made, TENSOR); }
int cudnnCreateFilterDescriptor(Descriptor **made) { return make_descriptor(made, FILTER); }
int cudnnCreateConvolutionDescriptor(Descriptor **made) { return make_descriptor(made, CONVOLUTION); }

static int describe(Descriptor *d, int kind, int format, int type, int a, int b, int c, int e)
{
    int size[5] = {a, b, c, e, type};
    if (d->kind != kind || format != 1 || type > 1 || a < 1 || b < 1 || c < 1 || e < 1) return 2000;
    memcpy(d->size, size, sizeof size);
    return 0;
}
int cudnnSetTensor4dDescriptor(Descriptor *d, int format, int type, int n, int c, int h, int w)
{
    return describe(d, TENSOR, format, type, n, c, h, w);
}
int cudnnSetFilter4dDescriptor(Descriptor *d, int type, int format, int k, int c, int h, int w)
{
    return describe(d, FILTER, format, type, k, c, h, w);
}
int cudnnSetConvolution2dDescriptor(Descriptor *d, int py, int px, int sy, int sx, int dy, int dx, int mode, int type)
{
    int size[9] = {py, px, sy, sx, dy, dx, type, 1, 0};
    if (d->kind != CONVOLUTION || mode != 1) return 2000;
    memcpy(d->size, size, sizeof size);
    return 0;
}
int cudnnSetConvolutionGroupCount(Descriptor *d, int groups) { d->size[7] = groups; return 0; }
int cudnnSetConvolutionMathType(Descriptor *d, int type) { d->size[8] = type; return 0; }

/* Shapes that fit together, and are not refused. */
static int fits(Descriptor *x, Descriptor *w, Descriptor *c, Descriptor *y)
{
    int *s = c->size, groups = s[7];
    if (x->kind != TENSOR || w->kind != FILTER || c->kind != CONVOLUTION || y->kind != TENSOR) return 0;
    if (x->size[0] != y->size[0] || x->size[1] != groups * w->size[1] || y->size[1] != w->size[0]) return 0;
    if (x->size[4] != y->size[4] || x->size[4] != w->size[4] || x->size[4] != s[6]) return 0;
    for (int i = 0; i < 2; i++)
        if ((x->size[2 + i] + 2 * s[i] - s[4 + i] * (w->size[2 + i] - 1) - 1) / s[2 + i] + 1 != y->size[2 + i]) return 0;
    /* Double precision has tensor cores of its own kind, single precision only where they were asked for. */
    return s[8] == (x->size[4] ? 0 : 3);
}
static int candidates(int shapes_fit, Descriptor *c, Descriptor *w, int wanted, int *count, Candidate *list)
{
    if (!shapes_fit || wanted < 3) return 4000;
    if (c->size[4] > 1 && c->size[2] > 1) return 3002;
    memset(list, 0, 3 * sizeof *list);
    list[0] = (Candidate){0, 0, 1.0f, 0, 0, 0, {0}};
    list[1] = (Candidate){1, 3000, 1.5f, 0, 1, 0, {0}};
    list[2] = (Candidate){TAKEN, 0, 2.0f, ROOM, 1, 0, {0}};
    /* For long kernels only algorithms whose sums have no order. */
    *count = w->size[2] == 4 ? 2 : 3;
    return 0;
}
int cudnnGetConvolutionForwardAlgorithm_v7(void *h, Descriptor *x, Descriptor *w, Descriptor *c, Descriptor *y, int wanted,
                                           int *count, Candidate *list)
{
    return candidates(fits(x, w, c, y), c, w, wanted, count, list);
}
int cudnnGetConvolutionBackwardDataAlgorithm_v7(void *h, Descriptor *w, Descriptor *y, Descriptor *c, Descriptor *x,
                                                int wanted, int *count, Candidate *list)
{
    return candidates(fits(x, w, c, y), c, w, wanted, count, list);
}
int cudnnGetConvolutionBackwardFilterAlgorithm_v7(void *h, Descriptor *x, Descriptor *y, Descriptor *c, Descriptor *w,
                                                  int wanted, int *count, Candidate *list)
{
    return candidates(fits(x, w, c, y), c, w, wanted, count, list);
}

static double entry_of(int type, const void *from, size_t at) { return type ? ((double *)from)[at] : ((float *)from)[at]; }
static void put_entry(int type, void *to, size_t at, double value)
{
    if (type) ((double *)to)[at] = value;
    else ((float *)to)[at] = (float)value;
}

/* result = one sum + kept result, where the sums of products go over all places at which the two others meet. */
static int convolve(int into, const void *one, Descriptor *xd, void *x, Descriptor *wd, void *w, Descriptor *c, int algorithm,
                    void *room, size_t bytes, const void *kept, Descriptor *yd, void *y)
{
    if (!fits(xd, wd, c, yd)) return 2000;
    if (algorithm != TAKEN || bytes < ROOM) return 5000;
    memset(room, 1, bytes);
    int type = xd->size[4], *X = xd->size, *W = wd->size, *Y = yd->size, *s = c->size;
    void *result = into == 0 ? y : into == 1 ? x : w;
    int *shape = into == 0 ? Y : into == 1 ? X : W;
    size_t count = (size_t)shape[0] * shape[1] * shape[2] * shape[3];
    double *sum = calloc(count, sizeof *sum);
    int out_per_group = W[0] / s[7];
    for (int n = 0; n < X[0]; n++)
        for (int o = 0; o < W[0]; o++)
            for (int oy = 0; oy < Y[2]; oy++)
                for (int ox = 0; ox < Y[3]; ox++)
                    for (int ky = 0; ky < W[2]; ky++)
                        for (int kx = 0; kx < W[3]; kx++)
                            for (int i = 0; i < W[1]; i++) {
                                int iy = oy * s[2] + ky * s[4] - s[0], ix = ox * s[3] + kx * s[5] - s[1];
                                if (iy < 0 || iy >= X[2] || ix < 0 || ix >= X[3]) continue;
                                int channel = o / out_per_group * W[1] + i;
                                size_t at_x = (((size_t)n * X[2] + iy) * X[3] + ix) * X[1] + channel;
                                size_t at_y = (((size_t)n * Y[2] + oy) * Y[3] + ox) * Y[1] + o;
                                size_t at_w = (((size_t)o * W[2] + ky) * W[3] + kx) * W[1] + i;
                                if (into == 0) sum[at_y] += entry_of(type, x, at_x) * entry_of(type, w, at_w);
                                else if (into == 1) sum[at_x] += entry_of(type, y, at_y) * entry_of(type, w, at_w);
                                else sum[at_w] += entry_of(type, x, at_x) * entry_of(type, y, at_y);
                            }
    double factor = entry_of(type, one, 0), share = entry_of(type, kept, 0);
    for (size_t i = 0; i < count; i++)
        put_entry(type, result, i, factor * sum[i] + (share != 0 ? share * entry_of(type, result, i) : 0));
    free(sum);
    return 0;
}
int cudnnConvolutionForward(void *h, const void *one, Descriptor *xd, void *x, Descriptor *wd, void *w, Descriptor *c,
                            int algorithm, void *room, size_t bytes, const void *kept, Descriptor *yd, void *y)
{
    return convolve(0, one, xd, x, wd, w, c, algorithm, room, bytes, kept, yd, y);
}
int cudnnConvolutionBackwardData(void *h, const void *one, Descriptor *wd, void *w, Descriptor *yd, void *y, Descriptor *c,
                                 int algorithm, void *room, size_t bytes, const void *kept, Descriptor *xd, void *x)
{
    return convolve(1, one, xd, x, wd, w, c, algorithm, room, bytes, kept, yd, y);
}
int cudnnConvolutionBackwardFilter(void *h, const void *one, Descriptor *xd, void *x, Descriptor *yd, void *y, Descriptor *c,
                                   int algorithm, void *room, size_t bytes, const void *kept, Descriptor *wd, void *w)
{
    return convolve(2, one, xd, x, wd, w, c, algorithm, room, bytes, kept, yd, y);
}
