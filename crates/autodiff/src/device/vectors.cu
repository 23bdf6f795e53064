/* Vectors of doubles, some as lists of addresses. Sums are those of the host to the last digit (`vectors.rs`): pieces of a
   fixed length one after the other, and within a piece eight sums side by side, each over every eighth entry. */

#define LIST(k, j) ((const double *)INTEGERS_64(k)[j])
#define INTEGERS_64(k) ((const unsigned long long *)a.in[k])
#define LANES 8
#define AT_ONCE 16
/* The entries of a piece; sizes: 0 entries of a vector, 1 entries of a piece, 2 pieces. */
#define PIECE(number)                                                                          \
    unsigned first = (number) * SIZE(1);                                                       \
    unsigned length = SIZE(0) - first < SIZE(1) ? SIZE(0) - first : SIZE(1);                   \
    unsigned rounds = length / LANES;

/* Input 0 a vector, 1 a list of vectors; a number for every lane of every piece of every vector of the list. */
KERNEL(lane_sums)
{
    EACH(i)
    {
        PIECE(i / LANES % SIZE(2))
        const double *x = DOUBLES(0) + first + i % LANES;
        const double *v = LIST(1, i / LANES / SIZE(2)) + first + i % LANES;
        double sum = 0.0, next[AT_ONCE];
        unsigned k = 0;
        /* Reads do not wait for the sum, which has to go from one to the next. */
        for (; k + AT_ONCE <= rounds; k += AT_ONCE) {
            for (unsigned u = 0; u < AT_ONCE; u++) next[u] = v[(k + u) * LANES] * x[(k + u) * LANES];
            for (unsigned u = 0; u < AT_ONCE; u++) sum += next[u];
        }
        for (; k < rounds; k++) sum += v[k * LANES] * x[k * LANES];
        DOUBLES_OUT(0)[i] = sum;
    }
}

/* Input 0 the lanes' sums, 1 the vector, 2 the list; a number for every piece of every vector of the list. */
KERNEL(piece_sums)
{
    EACH(i)
    {
        PIECE(i % SIZE(2))
        const double *x = DOUBLES(1) + first, *v = LIST(2, i / SIZE(2)) + first;
        double sum = 0.0, rest = 0.0;
        for (unsigned lane = 0; lane < LANES; lane++) sum += DOUBLES(0)[i * LANES + lane];
        for (unsigned k = rounds * LANES; k < length; k++) rest += v[k] * x[k];
        DOUBLES_OUT(0)[i] = sum + rest;
    }
}

/* Input 0 the pieces' sums; a number for every vector of the list. */
KERNEL(vector_sums)
{
    EACH(i)
    {
        double sum = 0.0;
        for (unsigned piece = 0; piece < SIZE(2); piece++) sum += DOUBLES(0)[i * SIZE(2) + piece];
        DOUBLES_OUT(0)[i] = sum;
    }
}

/* Input 0 a vector, 1 coefficients, 2 a list of as many vectors; sizes: how many. */
KERNEL(subtract_vectors)
{
    EACH(i)
    {
        double x = DOUBLES(0)[i];
        for (unsigned j = 0; j < SIZE(0); j++) x -= DOUBLES(1)[j] * LIST(2, j)[i];
        DOUBLES_OUT(0)[i] = x;
    }
}

/* Input 0 doubles, 1 what is added to them, times number 0. */
KERNEL(add_weighted)
{
    EACH(i) DOUBLES_OUT(0)[i] = DOUBLES(0)[i] + NUMBER(0) * (double)IN(1)[i];
}

#undef PIECE
#undef LIST
#undef INTEGERS_64
#undef LANES
#undef AT_ONCE
