/* Masks without noise, outlines and small islands: tidied.py says which. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vectorised.h"

enum { SPECK = 100, ISLAND = 150, OUTLINE = 3 }; /* px², px², px */
static const float SPECK_FAR = 8;

/* Neighbouring pixels of a row that are set. */
typedef struct {
    int32_t row, start, end;
    int32_t joined; /* an earlier run that it is connected to, or itself */
    int32_t area;   /* of all that are joined to it in the end */
} Run;

/* Sets all pixels whose surroundings have one that is set. */
FAST static void spread(int reach, const uint8_t *mask, int size, uint8_t *restrict line, uint8_t *restrict found)
{
    for (int y = 0; y < size; y++, found += size) {
        const int first = y > reach ? y - reach : 0, last = y + reach < size ? y + reach : size - 1;
        memset(line, 0, (size_t)(size + 2 * reach));
        for (int k = first; k <= last; k++) {
            const uint8_t *restrict row = mask + k * size;
            for (int x = 0; x < size; x++) line[reach + x] |= row[x];
        }
        memcpy(found, line, (size_t)size);
        for (int k = 1; k <= 2 * reach; k++)
            for (int x = 0; x < size; x++) found[x] |= line[x + k];
    }
}

static void invert(uint8_t *mask, int n)
{
    for (int i = 0; i < n; i++) mask[i] ^= 1;
}

static int32_t root_of(Run *runs, int32_t number)
{
    while (runs[number].joined != number) number = runs[number].joined = runs[runs[number].joined].joined;
    return number;
}

static void join(Run *runs, int32_t one, int32_t other)
{
    one = root_of(runs, one);
    other = root_of(runs, other);
    runs[one > other ? one : other].joined = one > other ? other : one;
}

/* All runs, connected at corners too, if asked: how many. */
static int32_t find_runs(const uint8_t *mask, int size, int corners, Run *runs)
{
    int32_t count = 0, above = 0, here = 0; /* the first ones of the last row and this */
    for (int y = 0; y < size; y++, above = here, here = count) {
        const uint8_t *row = mask + y * size, *end = row + size, *next = row;
        while (next < end && (next = memchr(next, 1, (size_t)(end - next)))) {
            const uint8_t *zero = memchr(next, 0, (size_t)(end - next));
            const Run run = {y, (int32_t)(next - row), (int32_t)((zero ? zero : end) - row), count, 0};
            next = row + run.end;
            runs[count++] = run;
            while (above < here && runs[above].end + corners <= run.start) above++;
            for (int32_t k = above; k < here && runs[k].start < run.end + corners; k++)
                join(runs, k, count - 1);
        }
    }
    return count;
}

static int any_within(const float *values, int32_t count, float most)
{
    int any = 0;
    for (int32_t i = 0; i < count; i++) any |= values[i] <= most;
    return any;
}

/* Clears islands of fewer pixels than `least`; where `away` is given, only far from others. */
static void clear_islands(uint8_t *mask, int size, int corners, int32_t least, const float *away, Run *runs)
{
    const int32_t count = find_runs(mask, size, corners, runs);
    for (int32_t k = 0; k < count; k++) {
        const Run *run = runs + k;
        const int32_t length = run->end - run->start;
        const int held = away && any_within(away + run->row * size + run->start, length, SPECK_FAR);
        Run *root = runs + root_of(runs, k);
        const int32_t area = root->area + (held ? least : length);
        root->area = area < least ? area : least;
    }
    for (int32_t k = 0; k < count; k++)
        if (runs[root_of(runs, k)].area < least)
            memset(mask + runs[k].row * size + runs[k].start, 0, (size_t)(runs[k].end - runs[k].start));
}

/* Tidies masks (count, size, size) with their pixels' distances from other surfaces, in px.
 * Returns -1 where memory lacks. */
int tidy_masks(uint8_t *masks, const float *away, int64_t count, int64_t side)
{
    const int size = (int)side, n = size * size;
    Run *runs = malloc((size_t)(size * (size + 1) / 2 + 1) * sizeof *runs);
    uint8_t *invalid = malloc((size_t)(n + size + 2 * OUTLINE)), *line = invalid + n;
    if (runs && invalid)
        for (int64_t k = 0; k < count; k++, masks += n, away += n) {
            spread(1, masks, size, line, invalid);
            invert(invalid, n);
            spread(1, invalid, size, line, masks);
            clear_islands(masks, size, 1, SPECK, away, runs);
            spread(OUTLINE, masks, size, line, invalid);
            invert(invalid, n);
            clear_islands(invalid, size, 0, ISLAND, NULL, runs);
            memcpy(masks, invalid, (size_t)n);
        }
    const int failed = !runs || !invalid;
    free(runs);
    free(invalid);
    return failed ? -1 : 0;
}
