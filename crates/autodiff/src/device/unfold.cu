/* Unfolding images for convolutions, for entries of any kind, because it only moves them: in `source.rs`, too, with REAL the
   bits of a bfloat16. */

/* sizes: groups, channels, height, width, kernel height and width, strides, paddings, dilations, rows and columns of the
   output, pairs, images */

#define CONVOLUTION                                                                            \
    unsigned groups = SIZE(0), channels = SIZE(1), height = SIZE(2), width = SIZE(3);          \
    unsigned kernel_height = SIZE(4), kernel_width = SIZE(5);                                  \
    unsigned stride_y = SIZE(6), stride_x = SIZE(7), padding_y = SIZE(8), padding_x = SIZE(9); \
    unsigned dilation_y = SIZE(10), dilation_x = SIZE(11), rows = SIZE(12), columns = SIZE(13); \
    unsigned per_group = channels / groups;

/* Images [n, height, width, channels], one for each pair, to rows of taps
   [groups, n rows columns, pairs, kernel height, kernel width, channels per group]; zeros in the border. */
KERNEL(unfold)
{
    EACH(i)
    {
        CONVOLUTION
        unsigned pairs = SIZE(14);
        unsigned c = i % per_group, rest = i / per_group;
        unsigned kx = rest % kernel_width;
        rest /= kernel_width;
        unsigned ky = rest % kernel_height;
        rest /= kernel_height;
        unsigned pair = rest % pairs;
        rest /= pairs;
        unsigned ox = rest % columns;
        rest /= columns;
        unsigned oy = rest % rows;
        rest /= rows;
        unsigned image = rest % SIZE(15), group = rest / SIZE(15);
        /* Numbers before the image's first row wrap around to large ones, which lie outside too. */
        unsigned y = oy * stride_y + ky * dilation_y - padding_y;
        unsigned x = ox * stride_x + kx * dilation_x - padding_x;
        const REAL *from = pair == 0 ? IN(0) : pair == 1 ? IN(1) : pair == 2 ? IN(2) : IN(3);
        int inside = y < height && x < width;
        OUT(0)[i] = inside ? from[((image * height + y) * width + x) * channels + group * per_group + c] : (REAL)0;
    }
}
