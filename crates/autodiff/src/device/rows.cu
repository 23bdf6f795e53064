/* Functions of rows: 32 threads share one, and its sums are those of the threads, added up in a fixed order.
   Sizes: 0 the number of rows, 1 their width. See `softmax.rs` and `standardise.rs` for the formulas. */

#define ROW                                                  \
    unsigned width = SIZE(1), first = row * SIZE(1);         \
    (void)width

/* scale x + mask; number 0: scale; size 2: rows of the mask, which are repeated, or 0 */
#define EXPONENT(j) \
    (NUMBER(0) * (double)IN(0)[first + (j)] + (SIZE(2) ? (double)IN(1)[row % SIZE(2) * width + (j)] : 0.0))

KERNEL(softmax)
{
    ROWS(row)
    {
        ROW;
        LARGEST(most, j, EXPONENT(j))
        SUM(sum, j, exp(EXPONENT(j) - most))
        ENTRIES(j) OUT(0)[first + j] = (REAL)(exp(EXPONENT(j) - most) / sum);
    }
}

/* softmax y, direction u; number 0: the factor */
KERNEL(softmax_first)
{
    ROWS(row)
    {
        ROW;
        const REAL *y = IN(0) + first, *u = IN(1) + first;
        SUM(p, j, (double)y[j] * (double)u[j])
        ENTRIES(j) OUT(0)[first + j] = (REAL)(NUMBER(0) * (double)y[j] * ((double)u[j] - p));
    }
}

/* softmax y, directions u and v; number 0: the factor */
KERNEL(softmax_second)
{
    ROWS(row)
    {
        ROW;
        const REAL *y = IN(0) + first, *u = IN(1) + first, *v = IN(2) + first;
        SUM(p, j, (double)y[j] * (double)u[j])
        SUM(q, j, (double)y[j] * (double)v[j])
        SUM(c, j, (double)y[j] * ((double)u[j] - p) * ((double)v[j] - q))
        ENTRIES(j)
        {
            double both = ((double)u[j] - p) * ((double)v[j] - q);
            OUT(0)[first + j] = (REAL)(NUMBER(0) * (double)y[j] * (both - c));
        }
    }
}

/* The mean of a row, where size 2 says that means are subtracted. */
#define MEAN(mean, x)                                        \
    SUM(sum_for_##mean, j, (double)(x)[j])                   \
    double mean = SIZE(2) ? sum_for_##mean / (double)width : 0.0;

/* One over the deviation of every row; number 0: what is added to its square. */
KERNEL(deviations)
{
    ROWS(row)
    {
        ROW;
        const REAL *x = IN(0) + first;
        MEAN(mean, x)
        SUM(square, j, ((double)x[j] - mean) * ((double)x[j] - mean))
        ONCE DOUBLES_OUT(0)[row] = 1.0 / sqrt(square / (double)width + NUMBER(0));
    }
}

/* x, one over the deviations */
KERNEL(standardise)
{
    ROWS(row)
    {
        ROW;
        const REAL *x = IN(0) + first;
        MEAN(mean, x)
        ENTRIES(j) OUT(0)[first + j] = (REAL)(((double)x[j] - mean) * DOUBLES(1)[row]);
    }
}

/* standardised z, one over the deviations, direction u */
KERNEL(standardise_first)
{
    ROWS(row)
    {
        ROW;
        const REAL *z = IN(0) + first, *u = IN(2) + first;
        MEAN(mean, u)
        SUM(along, j, (double)z[j] * ((double)u[j] - mean))
        double p = along / (double)width;
        ENTRIES(j) OUT(0)[first + j] = (REAL)(DOUBLES(1)[row] * ((double)u[j] - mean - (double)z[j] * p));
    }
}

/* standardised z, one over the deviations, directions u and v */
KERNEL(standardise_second)
{
    ROWS(row)
    {
        ROW;
        const REAL *z = IN(0) + first, *u = IN(2) + first, *v = IN(3) + first;
        double scale = DOUBLES(1)[row];
        MEAN(u_mean, u)
        MEAN(v_mean, v)
        SUM(along_u, j, (double)z[j] * ((double)u[j] - u_mean))
        SUM(along_v, j, (double)z[j] * ((double)v[j] - v_mean))
        SUM(both, j, ((double)u[j] - u_mean) * ((double)v[j] - v_mean))
        double p = along_u / (double)width, q = along_v / (double)width;
        double along = both / (double)width - 3.0 * p * q;
        ENTRIES(j)
        {
            double of_u = ((double)u[j] - u_mean) * q, of_v = ((double)v[j] - v_mean) * p;
            OUT(0)[first + j] = (REAL)(-scale * scale * (of_v + of_u + (double)z[j] * along));
        }
    }
}

#undef ROW
#undef EXPONENT
#undef MEAN
