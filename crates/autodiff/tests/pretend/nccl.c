/* An NCCL that is none: sums over cards that all lie in the host's memory, done when the group of calls ends. */
#include <stddef.h>

#define MOST 16
typedef struct {
    int rank;
} Communicator;
static Communicator communicators[MOST];
static int cards, depth, calls;
static const double *parts[MOST];
static double *results[MOST];
static size_t counts[MOST];

int ncclCommInitAll(Communicator **made, int number, const int *devices)
{
    if (number < 1 || number > MOST || devices[0] < 0) return 4;
    for (int i = 0; i < number; i++) communicators[i].rank = i, made[i] = &communicators[i];
    cards = number;
    return 0;
}
int ncclGroupStart(void)
{
    calls = 0;
    return depth++ ? 5 : 0;
}
int ncclReduce(const void *part, void *result, size_t count, int type, int operation, int root, Communicator *communicator,
               void *stream)
{
    /* Outside of a group the first card would wait for the others for ever. */
    if (!depth || type != 8 || operation != 0 || root != 0 || !stream) return 4;
    int rank = communicator->rank;
    parts[rank] = part, results[rank] = result, counts[rank] = count;
    calls++;
    return 0;
}
int ncclGroupEnd(void)
{
    depth--;
    if (calls != cards) return 5;
    for (size_t i = 0; i < counts[0]; i++) {
        double sum = 0;
        for (int rank = 0; rank < cards; rank++) {
            if (counts[rank] != counts[0]) return 4;
            sum += parts[rank][i];
        }
        results[0][i] = sum;
    }
    return 0;
}
