/* Bands of a photo and their gradients, row by row: the levels of pyramid.py. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "borders.h"
#include "vectorised.h"

enum { REACH = 10, TAPS = 2 * REACH + 1 }; /* of the coarse blur */

typedef struct {
    const uint8_t *grey; /* or, where that is null, */
    const float *luma;
    int height, width;
    const float *taps;           /* of the coarse blur, from its middle on */
    const double *smoothing, *sloping; /* filters of three taps, likewise */
    float *smooth, *along_x, *along_y;
} Bands;

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
    if (!bands->grey) return bands->luma + first;
    for (int x = 0; x < bands->width; x++) memory[x] = bands->grey[first + x];
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

PART void blur_down(const float *image, int y, int height, int width, const float *taps,
                    float *restrict out)
{
    const float *rows[TAPS];
    for (int k = 0; k < TAPS; k++)
        rows[k] = image + (int64_t)reflected(y + k - REACH, height) * stride_of(width);
    #pragma omp simd
    for (int x = 0; x < width; x++) {
        float sum = taps[0] * rows[REACH][x];
        for (int k = 1; k <= REACH; k++)
            sum += taps[k] * (rows[REACH - k][x] + rows[REACH + k][x]);
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
    for (int x = 0; x < n; x++) {
        smooth[x] = middle * row[x] + beside * (row[x - 1] + row[x + 1]);
        slope[x] = steep * (row[x + 1] - row[x - 1]);
    }
}

PART void filter_down(const Bands *bands, int y, float *const smooth[3], float *const slope[3])
{
    const int above = reflected(y - 1, bands->height) % 3, below = reflected(y + 1, bands->height) % 3;
    const float middle = bands->smoothing[0], beside = bands->smoothing[1], steep = bands->sloping[1];
    const float *restrict s0 = smooth[above], *restrict s1 = smooth[y % 3], *restrict s2 = smooth[below];
    const float *restrict d0 = slope[above], *restrict d1 = slope[y % 3], *restrict d2 = slope[below];
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

PART void make_bands(const Bands *bands, int reduction, float *memory)
{
    const int height = bands->height, width = bands->width;
    const int rows = (height + reduction - 1) / reduction, columns = (width + reduction - 1) / reduction;
    const int stride = stride_of(width + 2 * REACH + 2);
    float *smooth[3], *slope[3], *blurred[2];
    float *row = memory + LANES, *first = row + stride, *second = first + stride, *across = second + stride;
    for (int k = 0; k < 3; k++) smooth[k] = across + k * stride, slope[k] = across + (3 + k) * stride;
    for (int k = 0; k < 2; k++) blurred[k] = across + (6 + k) * stride;
    float *between = across + 8 * stride, *coarse = across + 9 * stride;
    across += 10 * stride;
    for (int y = 0; y < rows; y++) {
        const float *upper = read_row(bands, reduction * y, first);
        if (reduction == 2)
            halve(upper, read_row(bands, 2 * y + 1, second), width, row);
        else
            memcpy(row, upper, width * sizeof(float));
        blur_across(row, columns, bands->taps, across + (int64_t)y * stride_of(columns));
    }
    int ready = -1;
    for (int y = 0; y < height; y++) {
        const int near = y / reduction;
        int far = near + (y % reduction ? 1 : reduction == 2 ? -1 : 0);
        far = far < 0 ? 0 : least(far, rows - 1);
        for (; ready < near || ready < far; ready++)
            blur_down(across, ready + 1, rows, columns, bands->taps, blurred[(ready + 1) % 2]);
        const float *away = blurred[near % 2];
        if (reduction == 2) {
            double_row(away, blurred[far % 2], columns, between, coarse);
            away = coarse;
        }
        filter_across(bands, read_row(bands, y, first), away, row, smooth[y % 3], slope[y % 3]);
        if (y > 0) filter_down(bands, y - 1, smooth, slope);
    }
    filter_down(bands, height - 1, smooth, slope);
}

FAST static void make_full(const Bands *bands, float *memory)
{
    make_bands(bands, 2, memory);
}

FAST static void make_reduced(const Bands *bands, float *memory)
{
    make_bands(bands, 1, memory);
}

int filtered_bands(const uint8_t *grey, const float *luma, int64_t height, int64_t width,
                    int64_t reduction, const float *taps, const double *smoothing, const double *sloping,
                    float *smooth, float *along_x, float *along_y)
{
    const Bands bands = {grey, luma, height, width, taps, smoothing, sloping, smooth, along_x, along_y};
    const int64_t stride = stride_of(width + 2 * REACH + 2);
    const int64_t rows = (height + reduction - 1) / reduction, columns = (width + reduction - 1) / reduction;
    float *memory = malloc((LANES + 13 * stride + rows * stride_of(columns)) * sizeof(float));
    if (!memory) return -1;
    if (reduction == 2)
        make_full(&bands, memory);
    else
        make_reduced(&bands, memory);
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

int half_size(const uint8_t *grey, const float *luma, int64_t height, int64_t width, float *found)
{
    const Bands bands = {.grey = grey, .luma = luma, .height = height, .width = width};
    float *memory = malloc(2 * width * sizeof(float));
    if (!memory) return -1;
    make_half(&bands, memory, found);
    free(memory);
    return 0;
}
