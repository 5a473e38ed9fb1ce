/*
 * A photo on other grids: filtered, then interpolated.
 *
 * Where two px are interpolated between, that is done row by row of the grid, on the line
 * in the photo on which it lies: what no row needs is not filtered. Where four are, a part
 * of the photo is filtered first.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cubic.h"
#include "photo_lines.h"
#include "vectorised.h"

enum { NUMBERS = 9, MATRIX = 9 };

/* Means over columns of the photo around its row y, `n` values from `first` on. */
PART void filter_down(
    const Photo *photo, int64_t y, int64_t first, int64_t n, const double *weights,
    float *restrict found)
{
    const uint8_t *rows[WEIGHTS];
    for (int64_t k = 0; k < WEIGHTS; k++) {
        const int64_t row = limited(y + k - REACH, 0, photo->height - 1);
        rows[k] = photo->pixels + photo->channels * row * photo->width + first;
    }
    const uint8_t *restrict a = rows[0], *restrict b = rows[1], *restrict c = rows[2];
    const uint8_t *restrict d = rows[3], *restrict e = rows[4];
    const float far = (float)weights[0], near = (float)weights[1], own = (float)weights[2];
    #pragma omp simd
    for (int64_t i = 0; i < n; i++)
        found[i] = far * (float)(a[i] + e[i]) + near * (float)(b[i] + d[i]) + own * (float)c[i];
}

/* ... and over rows: `n` values from a line that begins REACH px earlier. */
PART void filter_across(
    const float *restrict line, int64_t channels, int64_t n, const double *weights,
    float *restrict found)
{
    const float far = (float)weights[0], near = (float)weights[1], own = (float)weights[2];
    const float *restrict a = line, *restrict b = a + channels, *restrict c = b + channels;
    const float *restrict d = c + channels, *restrict e = d + channels;
    #pragma omp simd
    for (int64_t i = 0; i < n; i++)
        found[i] = far * (a[i] + e[i]) + near * (b[i] + d[i]) + own * c[i];
}

PART void filter_part(const Photo *photo, const View *view, float *line, float *part)
{
    const int64_t channels = photo->channels, start = view->left - REACH;
    const int64_t first = limited(start, 0, photo->width - 1);
    const int64_t end = limited(start + view->columns + 2 * REACH, first + 1, photo->width);
    const int64_t before = channels * (first - start), inside = channels * (end - first);
    const int64_t n = channels * view->columns, all = n + 2 * REACH * channels;
    for (int64_t y = 0; y < view->rows; y++) {
        filter_down(photo, view->top + y, channels * first, inside, view->down, line + before);
        for (int64_t i = before - 1; i >= 0; i--)
            line[i] = line[i + channels];
        for (int64_t i = before + inside; i < all; i++)
            line[i] = line[i - channels];
        filter_across(line, channels, n, view->across, part + y * n);
    }
}

/* The places of a row of the grid that begins at (column, row). */
PART void find_places(
    const View *view, double column, double row, int64_t channels, int64_t taps,
    Places places)
{
    const double *m = view->to_part;
    const float x0 = (float)(m[0] * column + m[1] * row + m[2]), x1 = (float)m[0];
    const float y0 = (float)(m[3] * column + m[4] * row + m[5]), y1 = (float)m[3];
    const float w0 = (float)(m[6] * column + m[7] * row + m[8]), w1 = (float)m[6];
    const int32_t step = (int32_t)channels, stride = (int32_t)(channels * view->columns);
    /* All taps must lie in the part; where it ends early, the photo does, and is even. */
    const int32_t before = (int32_t)(taps / 2 - 1);
    const float low = (float)before;
    const float right = (float)(view->columns - taps / 2) - 0.01f;
    const float bottom = (float)(view->rows - taps / 2) - 0.01f;
    const int64_t length = places.length;
    int32_t *restrict first = places.first;
    float *restrict u = places.across, *restrict v = places.down;
    int16_t *restrict share = places.share;
    const int32_t wide = (int32_t)((view->width + LANES - 1) / LANES * LANES);
    #pragma omp simd
    for (int32_t i = 0; i < wide; i++) {
        const float scale = 1 / (w0 + w1 * (float)i);
        float x = (x0 + x1 * (float)i) * scale;
        x = x > low ? x : low; /* also where it is no number */
        x = x < right ? x : right;
        const int32_t left = (int32_t)x;
        x -= (float)left;
        if (taps == 2) {
            first[i] = left * step;
            share[i] = (int16_t)(x * (float)ONE);
            continue;
        }
        float y = (y0 + y1 * (float)i) * scale;
        y = y > low ? y : low;
        y = y < bottom ? y : bottom;
        const int32_t top = (int32_t)y;
        first[i] = (top - before) * stride + (left - before) * step;
        y -= (float)top;
        u[i] = cubic_far(1 + x), v[i] = cubic_far(1 + y);
        u[i + length] = cubic_near(x), v[i + length] = cubic_near(y);
        u[i + 2 * length] = cubic_near(1 - x), v[i + 2 * length] = cubic_near(1 - y);
        u[i + 3 * length] = cubic_far(2 - x), v[i + 3 * length] = cubic_far(2 - y);
    }
}

PART int16_t rounded(float value)
{
    return (int16_t)((int)(value + 32768.5f) - 32768);
}

PART int16_t clipped(int16_t value, int16_t most)
{
    value = value > 0 ? value : 0;
    return value < most ? value : most;
}

PART int16_t in_levels(float level)
{
    return rounded(LEVEL * level - MIDDLE);
}

PART void cubic_rgb(
    const float *part, int64_t stride, int64_t n, Places at, int16_t *restrict found)
{
    const int64_t k = at.length;
    for (int64_t i = 0; i < n; i++) {
        const float *u = at.across + i, *v = at.down + i;
        float total[4] = {0, 0, 0, 0};
        for (int64_t j = 0; j < 4; j++) {
            const float *row = part + at.first[i] + j * stride;
            #pragma omp simd
            for (int c = 0; c < 4; c++)
                total[c] += v[j * k] * (u[0] * row[c] + u[k] * row[c + 3]
                    + u[2 * k] * row[c + 6] + u[3 * k] * row[c + 9]);
        }
        #pragma omp simd
        for (int c = 0; c < 4; c++)
            found[3 * i + c] = in_levels(total[c]);
    }
}

/* Of grey photos neighbours are read together, down first, then across. */
PART void cubic_grey(
    const float *part, int64_t stride, int64_t n, Places at, float *restrict line,
    int16_t *restrict found)
{
    const int64_t k = at.length;
    for (int64_t i = 0; i < n; i++) {
        const float *row = part + at.first[i], *v = at.down + i;
        #pragma omp simd
        for (int c = 0; c < 4; c++)
            line[4 * i + c] = v[0] * row[c] + v[k] * row[c + stride]
                + v[2 * k] * row[c + 2 * stride] + v[3 * k] * row[c + 3 * stride];
    }
    const float *restrict u = at.across;
    #pragma omp simd
    for (int64_t i = 0; i < n; i++)
        found[i] = in_levels(
            u[i] * line[4 * i] + u[i + k] * line[4 * i + 1]
            + u[i + 2 * k] * line[4 * i + 2] + u[i + 3 * k] * line[4 * i + 3]);
}

/* A row of samples that begins at (column, row) of the grid. */
PART void sample_row(
    const Photo *photo, const View *view, double column, double row, int64_t channels,
    Buffers buffers)
{
    const int64_t stride = channels * view->columns, n = view->width;
    const Places at = buffers.places;
    if (channels == 3 && view->taps == 2) {
        find_places(view, column, row, 3, 2, at);
        make_line(photo, view, row, 3, buffers);
        linear_rgb(buffers.along, n, at, buffers.row);
    } else if (channels == 3) {
        find_places(view, column, row, 3, 4, at);
        cubic_rgb(buffers.part, stride, n, at, buffers.row);
    } else if (view->taps == 2) {
        find_places(view, column, row, 1, 2, at);
        make_line(photo, view, row, 1, buffers);
        linear_grey(buffers.along, n, at, buffers.pairs, buffers.row);
    } else {
        find_places(view, column, row, 1, 4, at);
        cubic_grey(buffers.part, stride, n, at, buffers.line, buffers.row);
    }
}

/* A row of pixels: means of the samples in each. */
PART void mean_row(
    const Photo *photo, const View *view, int64_t y, int64_t channels, Buffers buffers)
{
    const int64_t times = view->per_pixel, n = channels * view->width;
    int16_t *restrict row = buffers.row;
    int32_t *restrict sums = buffers.sums;
    const double step = 1 / (double)times, first = 0.5 * step - 0.5;
    for (int64_t k = 0; k < times; k++)
        for (int64_t j = 0; j < times; j++) {
            const double dx = first + step * (double)j, dy = first + step * (double)k;
            sample_row(photo, view, dx, (double)y + dy, channels, buffers);
            if (times == 1)
                return;
            const int32_t kept = j + k ? 1 : 0;
            #pragma omp simd
            for (int64_t i = 0; i < n; i++)
                sums[i] = kept * sums[i] + row[i];
        }
    const float share = 1 / (float)(times * times);
    #pragma omp simd
    for (int64_t i = 0; i < n; i++)
        row[i] = rounded(share * (float)sums[i]);
}

FAST static void sample_view(
    const Photo *photo, const View *view, int64_t output_width, Buffers buffers,
    uint8_t *bytes, uint16_t *fine)
{
    const int64_t channels = photo->channels, n = channels * view->width;
    if (view->taps == 4)
        filter_part(photo, view, buffers.line, buffers.part);
    for (int64_t y = 0; y < view->height; y++) {
        mean_row(photo, view, y, channels, buffers);
        const int16_t *restrict row = buffers.row;
        const int64_t place = channels * (view->place + y * output_width);
        if (fine) {
            uint16_t *restrict found = fine + place;
            #pragma omp simd
            for (int64_t i = 0; i < n; i++)
                found[i] = (uint16_t)clipped(row[i] + MIDDLE, 255 * LEVEL);
            continue;
        }
        uint8_t *restrict found = bytes + place;
        #pragma omp simd
        for (int64_t i = 0; i < n; i++)
            found[i] = (uint8_t)clipped((int16_t)(row[i] + MIDDLE + LEVEL / 2) >> 6, 255);
    }
}

/* Rounded so that they are ONE together. */
static void in_parts(const double *weights, int16_t *shares)
{
    int own = ONE;
    for (int k = 0; k < REACH; k++) {
        shares[k] = (int16_t)lrint(ONE * weights[k]);
        own -= 2 * shares[k];
    }
    shares[REACH] = (int16_t)(own < ONE ? own : ONE - 1);
}

static View view_of(const int64_t *n, const double *to_part, const double *weights)
{
    View view = {n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8],
                 to_part, weights, weights + WEIGHTS, {0}, {0}};
    in_parts(view.across, view.shares_across);
    in_parts(view.down, view.shares_down);
    return view;
}

/*
 * A photo (height, width, channels), of one or three channels, on `count` grids.
 *
 * `numbers` (count, 9), `matrices` (count, 3, 3) and `weights` (count, 2, 5) are what View
 * says of each. Their pixels go to an output whose rows are `output_width` long: bytes, or
 * parts of levels where `bytes` is null. Returns -1 where memory lacks.
 */
int sample_grids(
    const uint8_t *pixels, int64_t height, int64_t width, int64_t channels, int64_t count,
    const int64_t *numbers, const double *matrices, const double *weights,
    int64_t output_width, uint8_t *bytes, uint16_t *fine)
{
    const int64_t tail = height < STEP ? height : STEP, tail_size = tail * width * channels;
    int64_t largest = 0, longest = 0;
    for (int64_t i = 0; i < count; i++) {
        const View view = view_of(numbers + NUMBERS * i, matrices, weights);
        const int64_t pixels_of_part = view.taps == 4 ? view.columns * view.rows : 0;
        largest = pixels_of_part > largest ? pixels_of_part : largest;
        longest = view.columns > longest ? view.columns : longest;
        longest = view.width > longest ? view.width : longest;
    }
    const int64_t part = channels * largest + LANES, line = 4 * (longest + STEP);
    if (part > INT32_MAX) /* what places count in */
        return -1;
    float *memory = calloc((size_t)(part + 9 * line + tail_size / 4 + STEP), sizeof *memory);
    if (!memory)
        return -1;
    float *lines = memory + part;
    const Places places = {(int32_t *)lines, lines + line, lines + 2 * line,
                           (int16_t *)lines + line, line / 4};
    const Buffers buffers = {memory, lines + 3 * line, lines + 4 * line,
                             (int16_t *)(lines + 5 * line) + 3 * REACH,
                             (int16_t *)(lines + 6 * line), (int16_t *)(lines + 3 * line),
                             (int16_t *)(lines + 7 * line), (int32_t *)(lines + 8 * line), places};
    for (int64_t i = 0; i < line; i++)
        buffers.px[i] = (float)(i / channels);
    uint8_t *copy = (uint8_t *)(lines + 9 * line);
    memcpy(copy, pixels + channels * width * (height - tail), (size_t)tail_size);
    const Photo photo = {pixels, height, width, channels, copy, height - tail};
    for (int64_t i = 0; i < count; i++) {
        const View view = view_of(numbers + NUMBERS * i, matrices + MATRIX * i,
                                  weights + 2 * WEIGHTS * i);
        sample_view(&photo, &view, output_width, buffers, bytes, fine);
    }
    free(memory);
    return 0;
}
