/* Kernels that move, add and multiply entries. See `source.rs` for the language: C that a CUDA compiler and a host
   compiler both read, twice, once with REAL a float and once with REAL a double.

   Every kernel computes `count` numbers, each by itself and each from beginning to end, so that no sum depends on the
   order in which threads arrive. Images are channels last. */

/* ---- entry by entry ---- */

KERNEL(product)
{
    EACH(i) OUT(0)[i] = IN(0)[i] * IN(1)[i];
}

KERNEL(two_products)
{
    EACH(i) OUT(0)[i] = IN(0)[i] * IN(1)[i] + IN(2)[i] * IN(3)[i];
}

KERNEL(add_product)
{
    EACH(i) OUT(0)[i] = IN(0)[i] + IN(1)[i] * IN(2)[i];
}

KERNEL(add)
{
    EACH(i) OUT(0)[i] = IN(0)[i] + IN(1)[i];
}

/* number 0: the factor */
KERNEL(scale)
{
    EACH(i) OUT(0)[i] = (REAL)NUMBER(0) * IN(0)[i];
}

/* ---- a large tensor [repeat, outer, channel, inner] against a small one [repeat, channel] ---- */
/* sizes: outer, channel, inner */

#define SMALL_INDEX(i) ((i) / (SIZE(2) * SIZE(1) * SIZE(0)) * SIZE(1) + (i) / SIZE(2) % SIZE(1))

KERNEL(add_small)
{
    EACH(i) OUT(0)[i] = IN(0)[i] + IN(1)[SMALL_INDEX(i)];
}

KERNEL(multiply_small)
{
    EACH(i) OUT(0)[i] = IN(0)[i] * IN(1)[SMALL_INDEX(i)];
}

/* Partial sums, in double precision. Further sizes: 3 the number of parts, 4 the length of the small tensor, 5 whether
   the small tensor's entries are neighbours in the result (as they are in memory where inner is 1) or the parts are. */
#define PARTIAL_SUM(entry)                                                                     \
    EACH(i)                                                                                    \
    {                                                                                          \
        unsigned outer = SIZE(0), channel = SIZE(1), inner = SIZE(2), parts = SIZE(3);         \
        unsigned small = SIZE(5) ? i % SIZE(4) : i / parts;                                    \
        unsigned part = SIZE(5) ? i / SIZE(4) : i % parts;                                     \
        unsigned first = small / channel * outer * channel + small % channel;                  \
        double sum = 0.0;                                                                      \
        for (unsigned r = part; r < outer * inner; r += parts) {                               \
            unsigned at = inner == 1 ? first + r * channel : (first + r / inner * channel) * inner + r % inner; \
            sum += (entry);                                                                    \
        }                                                                                      \
        DOUBLES_OUT(0)[i] = sum;                                                               \
    }

KERNEL(partial_sums)
{
    PARTIAL_SUM((double)IN(0)[at])
}

KERNEL(partial_sums_of_products)
{
    PARTIAL_SUM((double)IN(0)[at] * (double)IN(1)[at])
}

/* sizes: parts, length of the small tensor, whether its entries are neighbours */
KERNEL(finish_sums)
{
    EACH(i)
    {
        double sum = 0.0;
        for (unsigned part = 0; part < SIZE(0); part++)
            sum += DOUBLES(0)[SIZE(2) ? part * SIZE(1) + i : i * SIZE(0) + part];
        OUT(0)[i] = (REAL)sum;
    }
}

/* ---- convolutions: see `unfold.cu` ---- */

/* The adjoint of `unfold` for one pair: every entry of an image collects its taps. */
KERNEL(fold)
{
    EACH(i)
    {
        CONVOLUTION
        unsigned channel = i % channels, rest = i / channels;
        unsigned x = rest % width;
        rest /= width;
        unsigned y = rest % height, image = rest / height;
        unsigned group = channel / per_group, c = channel % per_group;
        REAL sum = 0;
        for (unsigned ky = 0; ky < kernel_height; ky++) {
            unsigned top = y + padding_y - ky * dilation_y, oy = top / stride_y;
            if (y + padding_y < ky * dilation_y || top % stride_y || oy >= rows) continue;
            for (unsigned kx = 0; kx < kernel_width; kx++) {
                unsigned left = x + padding_x - kx * dilation_x, ox = left / stride_x;
                if (x + padding_x < kx * dilation_x || left % stride_x || ox >= columns) continue;
                unsigned pixel = ((group * SIZE(15) + image) * rows + oy) * columns + ox;
                sum += IN(0)[((pixel * kernel_height + ky) * kernel_width + kx) * per_group + c];
            }
        }
        OUT(0)[i] = sum;
    }
}

/* ---- windows ---- */
/* sizes: channels, height, width, rows and columns of windows.
   integers 1: first and end of the windows' rows, then of their columns, then, for every row and every column of the image,
   first and end of the windows that hold it. */

#define WINDOWS                                                                                \
    unsigned channels = SIZE(0), height = SIZE(1), width = SIZE(2), rows = SIZE(3), columns = SIZE(4); \
    const unsigned *tops = INTEGERS(1), *lefts = tops + 2 * rows;                              \
    const unsigned *over_y = lefts + 2 * columns, *over_x = over_y + 2 * height;                       \
    (void)over_x;
/* The window i / channels of an image. */
#define WINDOW                                                                                 \
    unsigned c = i % channels, rest = i / channels, column = rest % columns;                   \
    unsigned row = rest / columns % rows, image = rest / columns / rows;                       \
    unsigned top = tops[2 * row], bottom = tops[2 * row + 1];                                  \
    unsigned left = lefts[2 * column], right = lefts[2 * column + 1];
/* The entry i / channels of an image, and the windows that hold it. */
#define ENTRY                                                                                  \
    unsigned c = i % channels, rest = i / channels, x = rest % width;                          \
    unsigned y = rest / width % height, image = rest / width / height;                         \
    unsigned first_row = over_y[2 * y], end_row = over_y[2 * y + 1];                           \
    unsigned first_column = over_x[2 * x], end_column = over_x[2 * x + 1];

/* The place in its image of every window's first maximum; a NaN wins. */
KERNEL(first_maximum)
{
    EACH(i)
    {
        WINDOWS
        WINDOW
        const REAL *from = IN(0) + (size_t)image * height * width * channels;
        unsigned best = (top * width + left) * channels + c;
        for (unsigned y = top; y < bottom; y++)
            for (unsigned x = left; x < right; x++) {
                unsigned at = (y * width + x) * channels + c;
                if (from[at] > from[best] || from[at] != from[at]) best = at;
            }
        INTEGERS_OUT(0)[i] = best;
    }
}

/* integers 2: the places that `first_maximum` found */
KERNEL(select)
{
    EACH(i)
    {
        WINDOWS
        unsigned image = i / (rows * columns * channels);
        OUT(0)[i] = IN(0)[image * height * width * channels + INTEGERS(2)[i]];
    }
}

KERNEL(select_adjoint)
{
    EACH(i)
    {
        WINDOWS
        ENTRY
        unsigned here = (y * width + x) * channels + c;
        REAL sum = 0;
        for (unsigned row = first_row; row < end_row; row++)
            for (unsigned column = first_column; column < end_column; column++) {
                unsigned window = ((image * rows + row) * columns + column) * channels + c;
                if (INTEGERS(2)[window] == here) sum += IN(0)[window];
            }
        OUT(0)[i] = sum;
    }
}

/* A further size, 5: what sums are divided by, or 0 for the number of entries. */
KERNEL(average)
{
    EACH(i)
    {
        WINDOWS
        WINDOW
        double sum = 0.0, area = SIZE(5) ? SIZE(5) : (bottom - top) * (right - left);
        for (unsigned y = top; y < bottom; y++)
            for (unsigned x = left; x < right; x++)
                sum += (double)IN(0)[((image * height + y) * width + x) * channels + c];
        OUT(0)[i] = (REAL)(sum / area);
    }
}

KERNEL(average_adjoint)
{
    EACH(i)
    {
        WINDOWS
        ENTRY
        REAL sum = 0;
        for (unsigned row = first_row; row < end_row; row++)
            for (unsigned column = first_column; column < end_column; column++) {
                unsigned area = (tops[2 * row + 1] - tops[2 * row]) * (lefts[2 * column + 1] - lefts[2 * column]);
                REAL share = (REAL)(1.0 / (SIZE(5) ? SIZE(5) : area));
                sum += IN(0)[((image * rows + row) * columns + column) * channels + c] * share;
            }
        OUT(0)[i] = sum;
    }
}

/* ---- entries chosen by index ---- */

/* Rows of a table. integers 1: which. size 0: entries of a row */
KERNEL(rows)
{
    EACH(i) OUT(0)[i] = IN(0)[(size_t)INTEGERS(1)[i / SIZE(0)] * SIZE(0) + i % SIZE(0)];
}

/* The adjoint: every row of the table collects the places where it was chosen.
   integers 1: for every row the first of its places, and the end; integers 2: the places, row by row */
KERNEL(rows_adjoint)
{
    EACH(i)
    {
        unsigned row = i / SIZE(0), column = i % SIZE(0);
        REAL sum = 0;
        for (unsigned k = INTEGERS(1)[row]; k < INTEGERS(1)[row + 1]; k++)
            sum += IN(0)[(size_t)INTEGERS(2)[k] * SIZE(0) + column];
        OUT(0)[i] = sum;
    }
}

/* Places in the flattened argument [n, size 0] at which one entry a row is picked: integers 1 */
KERNEL(pick)
{
    EACH(i) OUT(0)[i] = IN(0)[INTEGERS(1)[i]];
}

KERNEL(pick_adjoint)
{
    EACH(i) OUT(0)[i] = INTEGERS(1)[i / SIZE(0)] == i ? IN(0)[i / SIZE(0)] : (REAL)0;
}

/* Every step-th entry of the middle axis of [outer, full, inner]. sizes: full, inner, step, entries taken */
KERNEL(stride)
{
    EACH(i)
    {
        unsigned inner = i % SIZE(1), taken = i / SIZE(1) % SIZE(3), outer = i / SIZE(1) / SIZE(3);
        OUT(0)[i] = IN(0)[(outer * SIZE(0) + taken * SIZE(2)) * SIZE(1) + inner];
    }
}

KERNEL(stride_adjoint)
{
    EACH(i)
    {
        unsigned inner = i % SIZE(1), at = i / SIZE(1) % SIZE(0), outer = i / SIZE(1) / SIZE(0);
        OUT(0)[i] = at % SIZE(2) ? (REAL)0 : IN(0)[(outer * SIZE(3) + at / SIZE(2)) * SIZE(1) + inner];
    }
}
