/* Zero-mean NCC of windows of one photo at every shift in the other. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vectorised.h"

enum { ROWS = 3 }; /* of a table made at once: their sums stay in registers */

/* A window and the area that it is searched in; all rows padded to whole vectors. */
typedef struct {
    int64_t side, reach, across; /* px of a window; shifts a side; of a row of the area */
    float *window, *area, *sums;
    double *columns, *squares; /* of the area's columns, over a window's rows */
} Search;

/* The window less its mean; returns the root of its power. */
PART double centre_window(const Search *search, const float *phone, int64_t width)
{
    const int64_t side = search->side;
    double total = 0, power = 0;
    for (int64_t y = 0; y < side; y++)
        for (int64_t x = 0; x < side; x++) total += phone[y * width + x];
    const double mean = total / (double)(side * side);
    for (int64_t y = 0; y < side; y++)
        for (int64_t x = 0; x < side; x++) {
            const double value = phone[y * width + x] - mean;
            search->window[y * side + x] = (float)value;
            power += value * value;
        }
    return sqrt(power);
}

/* Products with the window, shifted by ROWS rows from `down` on and by all columns. */
PART void correlate(const Search *search, int64_t down)
{
    const int64_t side = search->side, across = search->across;
    for (int64_t from = 0; from < search->reach; from += LANES) {
        float sums[ROWS][LANES] = {{0}};
        for (int64_t y = 0; y < side; y++)
            for (int64_t x = 0; x < side; x++) {
                const float value = search->window[y * side + x];
                const float *restrict at = search->area + (y + down) * across + from + x;
                for (int k = 0; k < ROWS; k++) {
                    #pragma omp simd
                    for (int i = 0; i < LANES; i++) sums[k][i] += value * at[k * across + i];
                }
            }
        for (int k = 0; k < ROWS; k++)
            memcpy(search->sums + k * across + from, sums[k], sizeof sums[k]);
    }
}

/* Sums over a window's rows of the area's columns: of the first rows, or one row on. */
PART void sum_columns(const Search *search, int64_t down)
{
    const int64_t side = search->side, n = side + search->reach - 1;
    const float *area = search->area;
    for (int64_t y = down ? down + side - 1 : 0; y < down + side; y++)
        for (int64_t x = 0; x < n; x++) {
            const double value = area[y * search->across + x];
            const double gone = down ? area[(down - 1) * search->across + x] : 0;
            const double kept = y == 0 ? 0 : search->columns[x];
            search->columns[x] = kept + value - gone;
            search->squares[x] = (y == 0 ? 0 : search->squares[x]) + value * value - gone * gone;
        }
}

/* What the products are of the most that two such windows could have. */
PART void normalise(const Search *search, double own, const float *sums, float *table)
{
    const double pixels = (double)(search->side * search->side);
    double total = 0, squares = 0;
    for (int64_t x = 0; x < search->side - 1; x++) {
        total += search->columns[x];
        squares += search->squares[x];
    }
    for (int64_t i = 0; i < search->reach; i++) {
        const int64_t last = i + search->side - 1;
        total += search->columns[last];
        squares += search->squares[last];
        const double power = squares - total * total / pixels;
        const double most = own * sqrt(power > 0 ? power : 0), ncc = sums[i];
        table[i] = fabs(ncc) < most ? (float)(ncc / most) : fabs(ncc) < 1.125 * most ? copysignf(1, (float)ncc) : 0;
        total -= search->columns[i];
        squares -= search->squares[i];
    }
}

FAST static void search_window(
    const Search *search, const float *phone, int64_t width, const float *dslr,
    int64_t dslr_width, double least, float *table)
{
    const int64_t side = search->side, rows = side + search->reach - 1;
    const double own = centre_window(search, phone, width);
    if (own < least * (double)side) return; /* flat: the table stays 0 */
    for (int64_t y = 0; y < rows; y++)
        memcpy(search->area + y * search->across, dslr + y * dslr_width, (size_t)rows * sizeof(float));
    for (int64_t down = 0; down < search->reach; down++) {
        if (down % ROWS == 0) correlate(search, down);
        sum_columns(search, down);
        const float *sums = search->sums + down % ROWS * search->across;
        normalise(search, own, sums, table + down * search->reach);
    }
}

/*
 * Tables (count, reach, reach), 0 at first, of windows (side, side) of the phone's band
 * (height, width) at `corners` (count, 2). In the DSLR's band, rows of `dslr_width`, the
 * first shift of a window begins at the same corner. Windows that deviate by less than
 * `least` are flat. Returns -1 where memory lacks.
 */
int ncc_tables(
    const float *phone, int64_t width, const float *dslr, int64_t dslr_width, int64_t count,
    const int64_t *corners, int64_t side, int64_t reach, double least, float *tables)
{
    const int64_t rows = side + reach - 1, across = rows + 2 * LANES;
    const int64_t area = (rows + ROWS) * across; /* the last table rows look beyond it */
    float *memory = calloc((size_t)(side * side + area + ROWS * across), sizeof *memory);
    double *columns = calloc((size_t)(2 * rows), sizeof *columns);
    if (memory && columns) {
        const Search search = {
            side, reach, across, memory, memory + side * side,
            memory + side * side + area, columns, columns + rows};
        for (int64_t k = 0; k < count; k++) {
            const int64_t x = corners[2 * k], y = corners[2 * k + 1];
            search_window(
                &search, phone + y * width + x, width, dslr + y * dslr_width + x, dslr_width,
                least, tables + k * reach * reach);
        }
    }
    const int failed = !memory || !columns;
    free(memory);
    free(columns);
    return failed ? -1 : 0;
}
