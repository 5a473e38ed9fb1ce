#ifndef PHOTO_LINES_H
#define PHOTO_LINES_H

/* A photo along the lines on which the rows of a grid lie, in whole numbers. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "vectorised.h"

enum { REACH = 2, WEIGHTS = 2 * REACH + 1 };
enum { ONE = 1 << 15 }; /* what weights are parts of */
enum { STEP = 32 };     /* values at once */
enum { FAR = 8 };       /* px beyond a part: no line leads there but a lost one */
/* Sums of two levels fit 16 bits, and less the middle also where filters overshoot. */
enum { LEVEL = 1 << 6, MIDDLE = 128 * LEVEL };

typedef struct {
    const uint8_t *pixels;
    int64_t height, width, channels;
    const uint8_t *tail; /* a copy of the rows from `tail_from` on: more may be read */
    int64_t tail_from;
} Photo;

/* A grid, and the part of the photo that its pixels lie in. */
typedef struct {
    int64_t left, top, columns, rows; /* of the part; beyond the photo its border repeats */
    int64_t width, height;            /* of the grid */
    int64_t per_pixel;                /* samples along a side of a pixel, which is their mean */
    int64_t taps;                     /* px of the part along a side between which it is read */
    int64_t place;                    /* of its first pixel in the output */
    const double *to_part;            /* (3, 3), from px of the grid to px of the part */
    const double *across, *down;      /* WEIGHTS of the filter */
    int16_t shares_across[REACH + 1], shares_down[REACH + 1]; /* those, in parts of ONE */
} View;

/* Of one row of a grid: the first of the px around each place, and their weights. */
typedef struct {
    int32_t *first;
    float *across, *down; /* four rows, `length` apart */
    int16_t *share;       /* of two px along a line, the second's */
    int64_t length;
} Places;

typedef struct {
    float *part, *line, *px;
    int16_t *upright, *along, *pairs; /* a line filtered down, then also along */
    int16_t *row;
    int32_t *sums;
    Places places;
} Buffers;

PART int64_t limited(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* A share, in parts of ONE, of a sum, rounded: one instruction where both have 16 bits. */
PART int16_t times(int16_t share, int16_t sum)
{
    return (int16_t)((((int32_t)share * sum >> 14) + 1) >> 1);
}

/* Between two, by the second's share. */
PART int16_t between(int16_t one, int16_t other, int16_t share)
{
    return (int16_t)(one + times(share, (int16_t)(other - one)));
}

/* The mean around one row, by the sums of those beside it: the weights are ONE together. */
PART int16_t mean_down(int16_t far, int16_t near, int outer, int inner, int16_t own)
{
    return (int16_t)(own + times(far, (int16_t)(outer - 2 * own))
                     + times(near, (int16_t)(inner - 2 * own)));
}

/*
 * Means down columns, `n` values, where the line runs between the same two rows: `down` px
 * below the upper one, `slope` px further each px. What is beyond is written over later.
 */
PART void run_down(
    const uint8_t *const rows[WEIGHTS + 1], int64_t n, const int16_t *shares, float down,
    float slope, const float *restrict px, int16_t *restrict found)
{
    const uint8_t *restrict a = rows[0], *restrict b = rows[1], *restrict c = rows[2];
    const uint8_t *restrict d = rows[3], *restrict e = rows[4], *restrict f = rows[5];
    const int16_t far = shares[0], near = shares[1];
    down *= (float)ONE, slope *= (float)ONE;
    for (int64_t first = 0; first < n; first += STEP) {
        int16_t share[STEP];
        #pragma omp simd
        for (int i = 0; i < STEP; i++) {
            const float way = down + slope * px[first + i], most = ONE - 1;
            share[i] = (int16_t)(way < most ? way : most);
        }
        #pragma omp simd
        for (int i = 0; i < STEP; i++) {
            const int64_t x = first + i;
            const int16_t a1 = LEVEL * a[x], b1 = LEVEL * b[x], c1 = LEVEL * c[x];
            const int16_t d1 = LEVEL * d[x], e1 = LEVEL * e[x], f1 = LEVEL * f[x];
            const int16_t upper = mean_down(far, near, a1 + e1, b1 + d1, c1);
            const int16_t lower = mean_down(far, near, b1 + f1, c1 + e1, d1);
            found[x] = (int16_t)(between(upper, lower, share[i]) - MIDDLE);
        }
    }
}

PART const uint8_t *row_of(const Photo *photo, int64_t y)
{
    const int64_t row = limited(y, 0, photo->height - 1), own = row - photo->tail_from;
    const uint8_t *rows = own < 0 ? photo->pixels : photo->tail;
    return rows + photo->channels * photo->width * (own < 0 ? row : own);
}

/* Means down `line` between the columns `first` and `end` of the part, run by run. */
PART void line_down(
    const Photo *photo, const View *view, double row, double slope, int64_t first,
    int64_t end, const float *px, int16_t *line)
{
    const int64_t channels = photo->channels;
    for (int64_t x = first, last; x < end; x = last) {
        const double y = row + slope * (double)x, top = floor(y), next = slope > 0 ? top + 1 : top;
        const double room = slope ? ceil((next - y) / slope) : (double)(end - x);
        last = room < 1 ? x + 1 : room < (double)(end - x) ? x + (int64_t)room : end;
        const double low = -FAR, high = (double)(view->rows + FAR); /* the photo is no longer */
        const double near = top > low ? top : low; /* also where it is no number */
        const int64_t upper = view->top + (int64_t)(near < high ? near : high);
        const uint8_t *rows[WEIGHTS + 1];
        for (int64_t k = 0; k <= WEIGHTS; k++)
            rows[k] = row_of(photo, upper + k - REACH) + channels * (view->left + x);
        run_down(rows, channels * (last - x), view->shares_down, (float)(y - top),
                 (float)slope, px, line + channels * x);
    }
}

/* ... and along it: `n` values, and more, from REACH px after the first that is given. */
PART void line_along(
    const int16_t *restrict line, int64_t channels, int64_t n, const int16_t *shares,
    int16_t *restrict found)
{
    const int16_t *restrict a = line, *restrict b = a + channels, *restrict c = b + channels;
    const int16_t *restrict d = c + channels, *restrict e = d + channels;
    const int16_t far = shares[0], near = shares[1], own = shares[2];
    for (int64_t first = 0; first < n; first += STEP)
        #pragma omp simd
        for (int64_t i = first; i < first + STEP; i++)
            found[i] = (int16_t)(times(far, (int16_t)(a[i] + e[i]))
                                 + times(near, (int16_t)(b[i] + d[i])) + times(own, c[i]));
}

/* Vectors of four hold a pixel and the next one's first value, which is written over. */
PART void linear_rgb(const int16_t *line, int64_t n, Places at, int16_t *restrict found)
{
    for (int64_t i = 0; i < n; i++) {
        const int16_t *left = line + at.first[i], share = at.share[i];
        #pragma omp simd
        for (int c = 0; c < 4; c++)
            found[3 * i + c] = between(left[c], left[c + 3], share);
    }
}

PART void linear_grey(
    const int16_t *line, int64_t n, Places at, int16_t *restrict pairs,
    int16_t *restrict found)
{
    for (int64_t i = 0; i < n; i++)
        memcpy(pairs + 2 * i, line + at.first[i], 2 * sizeof *pairs);
    #pragma omp simd
    for (int64_t i = 0; i < n; i++)
        found[i] = between(pairs[2 * i], pairs[2 * i + 1], at.share[i]);
}

/* The line in the part on which a row of the grid lies: its y is `row` + `slope` x. */
PART void find_line(const View *view, double y_of_grid, double *row, double *slope)
{
    const double *m = view->to_part, middle = 0.5 * (double)(view->width - 1);
    const double scale = 1 / (m[6] * middle + m[7] * y_of_grid + m[8]);
    const double x = scale * (m[0] * middle + m[1] * y_of_grid + m[2]);
    const double y = scale * (m[3] * middle + m[4] * y_of_grid + m[5]);
    const double turn = (m[3] - y * m[6]) / (m[0] - x * m[6]);
    *slope = turn > -1 && turn < 1 ? turn : 0;
    *row = y - *slope * x;
}

/* What of that line the places of a row need, with the photo's border repeated. */
PART void make_line(
    const Photo *photo, const View *view, double y_of_grid, int64_t channels, Buffers buffers)
{
    double row, slope;
    find_line(view, y_of_grid, &row, &slope);
    const int64_t one = buffers.places.first[0] / channels;
    const int64_t other = buffers.places.first[view->width - 1] / channels;
    const int64_t start = (one < other ? one : other) - REACH;
    const int64_t end = (one < other ? other : one) + REACH + 2;
    const int64_t first = limited(view->left + start, 0, photo->width - 1) - view->left;
    const int64_t last = limited(view->left + end, view->left + first + 1, photo->width) - view->left;
    int16_t *line = buffers.upright;
    line_down(photo, view, row, slope, first, last, buffers.px, line);
    for (int64_t i = channels * first - 1; i >= channels * start; i--)
        line[i] = line[i + channels];
    for (int64_t i = channels * last; i < channels * end; i++)
        line[i] = line[i - channels];
    line += channels * start;
    line_along(line, channels, channels * (end - start - 2 * REACH), view->shares_across,
               buffers.along + channels * (start + REACH));
}

#endif
