/* Sums over the blocks of windows that both photos show: block_sums.py says which. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cubic.h"
#include "vectorised.h"

enum {
    BLOCKS = 5,
    ALL_BLOCKS = BLOCKS * BLOCKS,
    COLUMNS = 5,  /* of the products: x and y gradient, luma, residual, 1 */
    PRODUCTS = 15,
    MOMENTS = 6,
    FAR = 1 << 20, /* px: no place is further away but a lost one */
};
static const double OUTLIER = 3.0, MIN_VARIANCE = 1e-4;

typedef struct {
    const float *target, *source[3];
    const float *tail[3]; /* copies of the rows from `tail_from` on: more may be read */
    int64_t height, width, block, tail_from;
    const float *restrict displacements[2];
} Level;

/* Rows of `wide` floats: a window's side, padded to whole vectors. */
typedef struct {
    int64_t side, wide, length; /* of lines: twice as wide, and a whole vector */
    float *luma, *along_x, *along_y, *phone; /* of all pixels */
    float *missed_x, *missed_y, *counted, *sums;
    float *weights;                          /* of four pixels, of one row or line */
    float *line[3];                          /* of the sources */
} Memory;

/* Where pixels or columns of a row lie: `first`, and `slope` further each. */
typedef struct {
    float first, slope;
} Way;

PART int64_t within(int64_t value, int64_t length)
{
    return value < 0 ? 0 : value < length ? value : length - 1;
}

PART float limited(float value, float low, float high)
{
    value = value > low ? value : low; /* also where it is no number */
    return value < high ? value : high;
}

/* The pixel before the place `i`, and where the run of places after the same one ends. */
PART int run_of(Way way, int i, int end, int *last)
{
    const float at = limited(way.first + way.slope * (float)i, -FAR, FAR), whole = floorf(at);
    const float next = way.slope > 0 ? whole + 1 : whole;
    const float room = way.slope ? ceilf((next - at) / way.slope) : FAR;
    *last = room < 1 ? i + 1 : room < (float)(end - i) ? i + (int)room : end;
    return (int)whole;
}

/* Cubic weights of the places of a run, whole vectors. */
PART void weigh(Way way, int first, int last, int whole, int64_t wide, float *restrict weight)
{
    for (int from = first; from < last; from += LANES) {
        #pragma omp simd
        for (int i = from; i < from + LANES; i++) {
            const float beyond = way.first - (float)whole + way.slope * (float)i;
            const float part = limited(beyond, 0, 1);
            weight[i] = cubic_far(part + 1);
            weight[i + wide] = cubic_near(part);
            weight[i + 2 * wide] = cubic_near(1 - part);
            weight[i + 3 * wide] = cubic_far(2 - part);
        }
    }
}

/* By how much cubic interpolation misses a ramp. */
PART void miss(Way way, int64_t wide, float *restrict missed)
{
    #pragma omp simd
    for (int i = 0; i < (int)wide; i++) {
        const float at = way.first + way.slope * (float)i, part = at - floorf(at);
        missed[i] = part * (part - 1) * (0.5f - part);
    }
}

/* Weighted sums of four rows, or of four neighbours, of a run: whole vectors. */
PART void interpolate(
    const float *const from[4], int first, int last, const float *restrict weight, int64_t wide,
    float *restrict found)
{
    const float *restrict a = from[0], *restrict b = from[1], *restrict c = from[2];
    const float *restrict d = from[3];
    const float *restrict u = weight, *restrict v = u + wide, *restrict w = v + wide;
    const float *restrict z = w + wide;
    for (int start = first; start < last; start += LANES) {
        #pragma omp simd
        for (int i = start; i < start + LANES; i++)
            found[i] = u[i] * a[i] + v[i] * b[i] + w[i] * c[i] + z[i] * d[i];
    }
}

PART const float *row_of(const Level *level, int source, int64_t y)
{
    y = within(y, level->height);
    const int64_t own = y - level->tail_from;
    return own < 0 ? level->source[source] + y * level->width : level->tail[source] + own * level->width;
}

/* The sources along the line on which a row of a window lies, `n` columns from `left` on. */
PART void make_lines(const Level *level, const Memory *m, Way down, int64_t left, int64_t row, int n)
{
    left = left < 1 - n ? 1 - n : left < level->width ? left : level->width - 1;
    const int first = left < 0 ? (int)-left : 0;
    const int end = level->width - left < n ? (int)(level->width - left) : n;
    for (int start = first, last; start < end; start = last) {
        const int64_t top = row + run_of(down, start, end, &last);
        weigh(down, start, last, (int)(top - row), m->length, m->weights);
        for (int k = 0; k < 3; k++) {
            const float *rows[4];
            for (int j = 0; j < 4; j++) rows[j] = row_of(level, k, top - 1 + j) + left;
            interpolate(rows, start, last, m->weights, m->length, m->line[k]);
        }
    }
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < first; i++) m->line[k][i] = m->line[k][first];
        for (int i = end; i < n; i++) m->line[k][i] = m->line[k][end - 1];
    }
}

/*
 * Luma and gradients of a window's row, first down to the line on which its pixels lie, then
 * along it. Pixels are `across` and `down` of their own places.
 */
PART void sample_row(
    const Level *level, const Memory *m, int64_t x, int64_t y, Way across, Way down,
    float *const found[3])
{
    const int side = (int)m->side, most = (int)m->length - LANES;
    const float far = limited(across.first + across.slope * (float)(side - 1), -FAR, FAR);
    const float start = floorf(limited(across.first, -FAR, FAR));
    const float columns = floorf(far) - start + (float)(side + 3);
    const int n = (int)limited(columns, 4, (float)most);
    /* The first column lies so far from the window's first pixel along the row. */
    const float each = down.slope / limited(1 + across.slope, 0.1f, 10);
    const Way line = {down.first + each * (start - 1 - across.first), each};
    make_lines(level, m, line, x + (int64_t)start - 1, y, n);
    for (int first = 0, last; first < side; first = last) {
        const int whole = run_of(across, first, side, &last);
        const int at = (int)limited((float)(whole - (int)start), (float)-first, (float)(n - 3 - last));
        weigh(across, first, last, whole, m->wide, m->weights);
        for (int k = 0; k < 3; k++) {
            const float *from[4];
            for (int j = 0; j < 4; j++) from[j] = m->line[k] + at + j;
            interpolate(from, first, last, m->weights, m->wide, found[k]);
        }
    }
}

/* Adds the row sums of a block row up block by block, in whole vectors. */
PART void into_blocks(const Memory *m, int kinds, int block, int row, double (*found)[ALL_BLOCKS])
{
    for (int k = 0; k < kinds; k++)
        for (int b = 0; b < BLOCKS; b++) {
            const float *part = m->sums + k * m->wide + b * block;
            float sum = 0;
            for (int from = 0; from < block; from += LANES) {
                #pragma omp simd reduction(+ : sum)
                for (int i = 0; i < LANES; i++) sum += from + i < block ? part[from + i] : 0;
            }
            found[k][row * BLOCKS + b] = sum;
        }
}

PART void count_row(const Memory *m, const uint8_t *mask, int64_t row)
{
    for (int i = 0; mask && i < (int)m->side; i++) m->counted[i] = mask[row * m->side + i];
}

/* Both photos' pixels, and their moments as they are. */
PART void read_window(
    const Level *level, const Memory *m, int64_t number, const int64_t *corner,
    const uint8_t *mask, double (*found)[ALL_BLOCKS])
{
    const float *x = level->displacements[0] + 3 * number;
    const float *y = level->displacements[1] + 3 * number;
    const int wide = (int)m->wide;
    float *restrict sums = m->sums;
    for (int64_t row = 0; row < m->side; row++) {
        float *const into[3] = {
            m->luma + row * wide, m->along_x + row * wide, m->along_y + row * wide};
        float *restrict luma = into[0], *restrict gx = into[1], *restrict gy = into[2];
        float *restrict phone = m->phone + row * wide;
        const float *restrict counted = m->counted, *restrict mx = m->missed_x;
        const float *restrict my = m->missed_y;
        const Way across = {x[0] + x[2] * (float)row, x[1]}, down = {y[0] + y[2] * (float)row, y[1]};
        miss(across, wide, m->missed_x);
        miss(down, wide, m->missed_y);
        sample_row(level, m, corner[0], corner[1] + row, across, down, into);
        for (int64_t i = m->side; i < wide; i++) luma[i] = gx[i] = gy[i] = phone[i] = 0;
        memcpy(phone, level->target + (corner[1] + row) * level->width + corner[0], m->side * sizeof(float));
        count_row(m, mask, row);
        if (row % level->block == 0) memset(sums, 0, MOMENTS * wide * sizeof(float));
        #pragma omp simd
        for (int i = 0; i < wide; i++) {
            float value = luma[i] + mx[i] * gx[i] + my[i] * gy[i], count = counted[i];
            luma[i] = value;
            sums[i] += count;
            sums[i + wide] += count * value;
            sums[i + 2 * wide] += count * phone[i];
            sums[i + 3 * wide] += count * value * value;
            sums[i + 4 * wide] += count * value * phone[i];
            sums[i + 5 * wide] += count * phone[i] * phone[i];
        }
        if ((row + 1) % level->block == 0)
            into_blocks(m, MOMENTS, (int)level->block, (int)(row / level->block), found);
    }
}

/* How far residuals spread, as if they were normal. */
PART float spread(const Memory *m, const uint8_t *mask, float gain, float offset, double counted)
{
    const int wide = (int)m->wide;
    float *restrict sums = m->sums;
    memset(sums, 0, (size_t)wide * sizeof *sums);
    for (int64_t row = 0; row < m->side; row++) {
        const float *restrict luma = m->luma + row * wide, *restrict phone = m->phone + row * wide;
        const float *restrict count = m->counted;
        count_row(m, mask, row);
        #pragma omp simd
        for (int i = 0; i < wide; i++)
            sums[i] += count[i] * fabsf(phone[i] - gain * luma[i] - offset);
    }
    double sum = 0;
    for (int i = 0; i < wide; i++) sum += sums[i];
    return (float)(1.25 * sum / counted + 1e-3);
}

/* Products of gradients, luma, residual and 1, weighted by how likely the residual is. */
PART void add_products(
    const Level *level, const Memory *m, const uint8_t *mask, float gain, float mean_luma,
    float mean_phone, float scale, double (*found)[ALL_BLOCKS])
{
    const int wide = (int)m->wide;
    float *restrict sums = m->sums;
    for (int64_t row = 0; row < m->side; row++) {
        const float *restrict luma = m->luma + row * wide, *restrict phone = m->phone + row * wide;
        const float *restrict along_x = m->along_x + row * wide, *restrict along_y = m->along_y + row * wide;
        const float *restrict counted = m->counted;
        count_row(m, mask, row);
        if (row % level->block == 0) memset(sums, 0, PRODUCTS * wide * sizeof(float));
        #pragma omp simd
        for (int i = 0; i < wide; i++) {
            float value = luma[i] - mean_luma, rest = phone[i] - mean_phone - gain * value;
            float gx = along_x[i], gy = along_y[i], far = scale * rest;
            float weight = counted[i] / (1 + far * far), x = weight * gx, y = weight * gy;
            sums[i] += x * gx;
            sums[i + wide] += x * gy;
            sums[i + 2 * wide] += y * gy;
            sums[i + 3 * wide] += x * value;
            sums[i + 4 * wide] += y * value;
            sums[i + 5 * wide] += weight * value * value;
            sums[i + 6 * wide] += x * rest;
            sums[i + 7 * wide] += y * rest;
            sums[i + 8 * wide] += weight * value * rest;
            sums[i + 9 * wide] += weight * rest * rest;
            sums[i + 10 * wide] += x;
            sums[i + 11 * wide] += y;
            sums[i + 12 * wide] += weight * value;
            sums[i + 13 * wide] += weight * rest;
            sums[i + 14 * wide] += weight;
        }
        if ((row + 1) % level->block == 0)
            into_blocks(m, PRODUCTS, (int)level->block, (int)(row / level->block), found);
    }
}

/* Triangles of sums by block → symmetric matrices. */
static void into_matrices(double (*sums)[ALL_BLOCKS], double *products)
{
    for (int i = 0, k = 0; i < COLUMNS; i++)
        for (int j = 0; j <= i; j++, k++)
            for (int b = 0; b < ALL_BLOCKS; b++) {
                double *matrix = products + b * COLUMNS * COLUMNS;
                matrix[i * COLUMNS + j] = matrix[j * COLUMNS + i] = sums[k][b];
            }
}

typedef struct {
    double *products, *pixels, *powers, *both, *texture;
} Found;

FAST static void sum_window(
    const Level *level, const Memory *m, int64_t number, const int64_t *corner,
    const uint8_t *mask, Found found)
{
    double moments[MOMENTS][ALL_BLOCKS], sums[PRODUCTS][ALL_BLOCKS], total[3] = {0, 0, 0};
    for (int i = 0; i < (int)m->wide; i++) m->counted[i] = i < m->side;
    read_window(level, m, number, corner, mask, moments);
    for (int k = 0; k < 3; k++)
        for (int b = 0; b < ALL_BLOCKS; b++) total[k] += moments[k][b];
    double counted = total[0] > 1 ? total[0] : 1;
    double luma = total[1] / counted, phone = total[2] / counted, power = 0, both = 0;
    for (int b = 0; b < ALL_BLOCKS; b++) { /* moments about the window's means */
        double n = moments[0][b], l = moments[1][b], p = moments[2][b], each = n > 1 ? n : 1;
        double own = moments[3][b] - luma * (2 * l - n * luma);
        double mixed = moments[4][b] - luma * p - phone * l + n * luma * phone;
        found.pixels[b] = n;
        found.powers[b] = own / each;
        found.both[b] = mixed / each;
        found.texture[b] = (moments[5][b] - phone * (2 * p - n * phone)) / each;
        power += own / counted;
        both += mixed / counted;
    }
    float gain = (float)(both / (power > MIN_VARIANCE ? power : MIN_VARIANCE));
    float far = (float)OUTLIER * spread(m, mask, gain, (float)(phone - gain * luma), counted);
    add_products(level, m, mask, gain, (float)luma, (float)phone, 1 / far, sums);
    into_matrices(sums, found.products);
}

/* Room for a window of `side` px; NULL where there is none. Every part is padded. */
static float *take_memory(Memory *m, int64_t side)
{
    const int64_t wide = (side + LANES - 1) / LANES * LANES, area = side * wide + LANES;
    const int64_t row = wide + LANES, length = 2 * wide + LANES, line = length + LANES;
    float *memory = calloc(4 * area + (3 + PRODUCTS) * row + (4 + 3) * line + LANES, sizeof(float));
    float *first = on_vector(memory), *rows = first + 4 * area, *lines = rows + (3 + PRODUCTS) * row;
    *m = (Memory){
        side, wide, length, first, first + area, first + 2 * area, first + 3 * area, rows,
        rows + row, rows + 2 * row, rows + 3 * row, lines,
        {lines + 4 * line, lines + 5 * line, lines + 6 * line}};
    return memory;
}

/* Copies the sources' last rows to where one may read beyond them; NULL where memory lacks. */
static float *copy_tails(Level *level)
{
    const int64_t rows = (LANES + level->width - 1) / level->width;
    level->tail_from = rows < level->height ? level->height - rows : 0;
    const int64_t size = (level->height - level->tail_from) * level->width;
    float *tails = calloc(3 * (size + LANES), sizeof(float));
    for (int k = 0; tails && k < 3; k++) {
        float *tail = tails + k * (size + LANES);
        memcpy(tail, level->source[k] + level->tail_from * level->width, size * sizeof(float));
        level->tail[k] = tail;
    }
    return tails;
}

int block_sums(
    const float *target, const float *luma, const float *along_x, const float *along_y,
    int64_t height, int64_t width, int64_t block, int64_t count, const int64_t *corners,
    const float *displacements, const uint8_t *masks, double *products, double *pixels,
    double *powers, double *both, double *texture)
{
    Level level = {
        target, {luma, along_x, along_y}, {NULL}, height, width, block, 0,
        {displacements, displacements + 3 * count}};
    Memory m;
    float *memory = take_memory(&m, BLOCKS * block), *tails = copy_tails(&level);
    for (int64_t k = 0; memory && tails && k < count; k++) {
        const Found found = {
            products + k * ALL_BLOCKS * COLUMNS * COLUMNS, pixels + k * ALL_BLOCKS,
            powers + k * ALL_BLOCKS, both + k * ALL_BLOCKS, texture + k * ALL_BLOCKS};
        const uint8_t *mask = masks ? masks + k * m.side * m.side : NULL;
        sum_window(&level, &m, k, corners + 2 * k, mask, found);
    }
    const int done = memory && tails ? 0 : -1;
    free(memory);
    free(tails);
    return done;
}
