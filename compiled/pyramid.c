/* Bands of a photo and their gradients, row by row: the levels of pyramid.py. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "borders.h"
#include "vectorised.h"

enum { REACH = 10, TAPS = 2 * REACH + 1 }; /* of the coarse blur: COARSE_REACH */
enum { RING = 32 }; /* rows that it is made of; TAPS at least */
enum { PARTS = 64 }; /* of a grey level, which fine luma counts: sampling.py's FINE */
enum { ALL_ROWS = 5 + RING + 2 + 3 + 3 };

typedef struct {
    const uint8_t *grey;  /* or */
    const uint16_t *fine; /* or, where both are null, */
    const float *luma;
    int height, width;
    const float *taps;                 /* of the coarse blur, from its middle on */
    const double *smoothing, *sloping; /* filters of three taps, likewise */
    float *smooth, *along_x, *along_y;
} Bands;

typedef struct {
    float *row, *upper, *lower, *between, *coarse; /* of one moment */
    float *across[RING], *blurred[2];              /* of the smaller picture, its last ones */
    float *smooth[3], *slope[3];                   /* filtered along x only, the last ones */
} Rows;

/* Floats to the next row: an odd number of vectors, so that columns share no lines of the cache. */
PART int stride_of(int length)
{
    return ((length + LANES - 1) / LANES | 1) * LANES;
}

PART int least(int one, int other)
{
    return one < other ? one : other;
}

/* A row as floats, in place where it is one; the last row again beyond it. */
PART const float *read_row(const Bands *bands, int y, float *restrict memory)
{
    const int64_t first = (int64_t)least(y, bands->height - 1) * bands->width;
    if (bands->luma) return bands->luma + first;
    if (bands->grey)
        for (int x = 0; x < bands->width; x++) memory[x] = bands->grey[first + x];
    else
        for (int x = 0; x < bands->width; x++) memory[x] = (float)bands->fine[first + x] / PARTS;
    return memory;
}

PART void halve(const float *restrict upper, const float *restrict lower, int width, float *restrict out)
{
    for (int x = 0; x < width / 2; x++)
        out[x] = 0.25f * (upper[2 * x] + upper[2 * x + 1] + lower[2 * x] + lower[2 * x + 1]);
    if (width % 2) out[width / 2] = 0.5f * (upper[width - 1] + lower[width - 1]);
}

PART void blur_across(float *restrict row, int n, const float *taps, float *restrict out)
{
    for (int k = 1; k <= REACH; k++) {
        row[-k] = row[reflected(-k, n)];
        row[n - 1 + k] = row[reflected(n - 1 + k, n)];
    }
    #pragma omp simd
    for (int x = 0; x < n; x++) {
        float sum = taps[0] * row[x];
        for (int k = 1; k <= REACH; k++) sum += taps[k] * (row[x - k] + row[x + k]);
        out[x] = sum;
    }
}

PART void blur_down(const Rows *rows, int y, int height, int width, const float *taps,
                    float *restrict out)
{
    const float *at[TAPS];
    for (int k = 0; k < TAPS; k++) at[k] = rows->across[reflected(y + k - REACH, height) % RING];
    #pragma omp simd
    for (int x = 0; x < width; x++) {
        float sum = taps[0] * at[REACH][x];
        for (int k = 1; k <= REACH; k++) sum += taps[k] * (at[REACH - k][x] + at[REACH + k][x]);
        out[x] = sum;
    }
}

/* A row of twice the resolution, between two rows and thrice as near to one of them. */
PART void double_row(const float *restrict near, const float *restrict far, int n,
                     float *restrict between, float *restrict out)
{
    for (int x = 0; x < n; x++) between[x] = 0.75f * near[x] + 0.25f * far[x];
    between[-1] = between[0];
    between[n] = between[n - 1];
    for (int x = 0; x < n; x++) {
        out[2 * x] = 0.75f * between[x] + 0.25f * between[x - 1];
        out[2 * x + 1] = 0.75f * between[x] + 0.25f * between[x + 1];
    }
}

PART void filter_across(const Bands *bands, const float *restrict luma, const float *restrict coarse,
                        float *restrict row, float *restrict smooth, float *restrict slope)
{
    const int n = bands->width;
    const float middle = bands->smoothing[0], beside = bands->smoothing[1], steep = bands->sloping[1];
    for (int x = 0; x < n; x++) row[x] = luma[x] - coarse[x];
    row[-1] = row[reflected(-1, n)];
    row[n] = row[reflected(n, n)];
    for (int x = 0; x < n; x++) smooth[x] = middle * row[x] + beside * (row[x - 1] + row[x + 1]);
    if (bands->along_x)
        for (int x = 0; x < n; x++) slope[x] = steep * (row[x + 1] - row[x - 1]);
}

PART void filter_down(const Bands *bands, const Rows *rows, int y)
{
    const int above = reflected(y - 1, bands->height) % 3, below = reflected(y + 1, bands->height) % 3;
    const float middle = bands->smoothing[0], beside = bands->smoothing[1], steep = bands->sloping[1];
    const float *restrict s0 = rows->smooth[above], *restrict s1 = rows->smooth[y % 3];
    const float *restrict s2 = rows->smooth[below], *restrict d2 = rows->slope[below];
    const float *restrict d0 = rows->slope[above], *restrict d1 = rows->slope[y % 3];
    const int64_t first = (int64_t)y * bands->width;
    float *restrict out = bands->smooth + first;
    if (!bands->along_x) {
        for (int x = 0; x < bands->width; x++) out[x] = middle * s1[x] + beside * (s0[x] + s2[x]);
        return;
    }
    float *restrict out_x = bands->along_x + first, *restrict out_y = bands->along_y + first;
    #pragma omp simd
    for (int x = 0; x < bands->width; x++) {
        out[x] = middle * s1[x] + beside * (s0[x] + s2[x]);
        out_x[x] = middle * d1[x] + beside * (d0[x] + d2[x]);
        out_y[x] = steep * (s2[x] - s0[x]);
    }
}

/* The next row of the smaller picture, blurred along x. */
PART void make_across(const Bands *bands, const Rows *rows, int reduction, int y)
{
    const int columns = (bands->width + reduction - 1) / reduction;
    const float *upper = read_row(bands, reduction * y, rows->upper);
    if (reduction == 2)
        halve(upper, read_row(bands, 2 * y + 1, rows->lower), bands->width, rows->row);
    else
        memcpy(rows->row, upper, columns * sizeof(float));
    blur_across(rows->row, columns, bands->taps, rows->across[y % RING]);
}

/* What is coarse in the next row. */
PART const float *make_coarse(const Bands *bands, const Rows *rows, int reduction, int y, int made[2])
{
    const int height = (bands->height + reduction - 1) / reduction;
    const int width = (bands->width + reduction - 1) / reduction;
    const int near = y / reduction, beside = reduction == 1 ? 0 : y % 2 ? 1 : -1;
    const int far = near + beside < 0 ? 0 : least(near + beside, height - 1);
    for (; made[1] <= near || made[1] <= far; made[1]++) {
        for (; made[0] < height && made[0] <= made[1] + REACH; made[0]++)
            make_across(bands, rows, reduction, made[0]);
        blur_down(rows, made[1], height, width, bands->taps, rows->blurred[made[1] % 2]);
    }
    if (reduction == 1) return rows->blurred[near % 2];
    double_row(rows->blurred[near % 2], rows->blurred[far % 2], width, rows->between, rows->coarse);
    return rows->coarse;
}

PART void make_bands(const Bands *bands, const Rows *rows, int reduction)
{
    int made[2] = {0, 0}; /* rows across, and blurred */
    for (int y = 0; y < bands->height; y++) {
        const float *coarse = make_coarse(bands, rows, reduction, y, made);
        const float *luma = read_row(bands, y, rows->upper);
        filter_across(bands, luma, coarse, rows->row, rows->smooth[y % 3], rows->slope[y % 3]);
        if (y > 0) filter_down(bands, rows, y - 1);
    }
    filter_down(bands, rows, bands->height - 1);
}

FAST static void make_with_halves(const Bands *bands, const Rows *rows)
{
    make_bands(bands, rows, 2);
}

FAST static void make_at_once(const Bands *bands, const Rows *rows)
{
    make_bands(bands, rows, 1);
}

static void lay_rows(Rows *rows, int64_t stride, float *memory)
{
    float **all[] = {&rows->row, &rows->upper, &rows->lower, &rows->between, &rows->coarse};
    float *next = memory + LANES;
    for (int k = 0; k < 5; k++, next += stride) *all[k] = next;
    for (int k = 0; k < RING; k++, next += stride) rows->across[k] = next;
    for (int k = 0; k < 2; k++, next += stride) rows->blurred[k] = next;
    for (int k = 0; k < 3; k++, next += 2 * stride)
        rows->smooth[k] = next, rows->slope[k] = next + stride;
}

/* The band of a photo and, where they are asked, its slopes; coarse is what a blur of its half,
 * or of itself where reduction is 1, has left. */
int filtered_bands(const uint8_t *grey, const uint16_t *fine, const float *luma, int64_t height, int64_t width,
                   int64_t reduction, const float *taps, const double *smoothing, const double *sloping,
                   float *smooth, float *along_x, float *along_y)
{
    const Bands bands = {grey, fine, luma, height, width, taps, smoothing, sloping, smooth, along_x, along_y};
    Rows rows;
    const int64_t stride = stride_of(width + 2 * REACH + 2); /* margins on both sides */
    float *memory = malloc((2 * LANES + ALL_ROWS * stride) * sizeof(float));
    if (!memory) return -1;
    lay_rows(&rows, stride, on_vector(memory));
    if (reduction == 2)
        make_with_halves(&bands, &rows);
    else
        make_at_once(&bands, &rows);
    free(memory);
    return 0;
}

FAST static void make_half(const Bands *bands, float *memory, float *found)
{
    const int width = bands->width, columns = width / 2;
    for (int y = 0; y < bands->height / 2; y++) {
        const float *upper = read_row(bands, 2 * y, memory);
        halve(upper, read_row(bands, 2 * y + 1, memory + width), 2 * columns, found + (int64_t)y * columns);
    }
}

int half_size(const uint8_t *grey, const uint16_t *fine, const float *luma, int64_t height, int64_t width,
              float *found)
{
    const Bands bands = {.grey = grey, .fine = fine, .luma = luma, .height = height, .width = width};
    float *memory = malloc(2 * width * sizeof(float));
    if (!memory) return -1;
    make_half(&bands, memory, found);
    free(memory);
    return 0;
}
