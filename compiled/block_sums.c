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
};
static const double OUTLIER = 3.0, MIN_VARIANCE = 1e-4;

typedef struct {
    const float *target, *source[3];
    int64_t height, width, block;
    const float *restrict displacements[2];
} Level;

/* Rows of `wide` floats: a window's side, padded to whole vectors. */
typedef struct {
    int64_t side, wide;
    float *luma, *along_x, *along_y, *phone; /* of all pixels */
    float *weight_x, *weight_y;              /* of the four pixels around, of one row */
    float *missed_x, *missed_y, *counted, *sums;
    int32_t *left, *top;
} Memory;

PART int64_t within(int64_t value, int64_t length)
{
    return value < 0 ? 0 : value < length ? value : length - 1;
}

/* Pixel, cubic weights, and by how much cubic interpolation misses a ramp. */
PART void place_row(
    int64_t wide, float shift, float slope, int32_t *restrict pixel, float *restrict weight,
    float *restrict missed)
{
    #pragma omp simd
    for (int i = 0; i < (int)wide; i++) {
        float way = shift + slope * i, whole = floorf(way), part = way - whole;
        pixel[i] = (int32_t)whole;
        missed[i] = part * (part - 1) * (0.5f - part);
        weight[i] = cubic_far(part + 1);
        weight[i + wide] = cubic_near(part);
        weight[i + 2 * wide] = cubic_near(1 - part);
        weight[i + 3 * wide] = cubic_far(2 - part);
    }
}

/* Interpolates whole vectors, also beyond `count`: the next pixels overwrite those. */
PART void interpolate(
    const float *restrict image, int64_t width, int count, const float *restrict wx,
    const float *restrict wy, int64_t wide, float *restrict found)
{
    const float *a = image, *b = a + width, *c = b + width, *d = c + width;
    for (int from = 0; from < count; from += LANES) {
        #pragma omp simd
        for (int i = from; i < from + LANES; i++) {
            float w0 = wx[i], w1 = wx[i + wide], w2 = wx[i + 2 * wide], w3 = wx[i + 3 * wide];
            float one = w0 * a[i] + w1 * a[i + 1] + w2 * a[i + 2] + w3 * a[i + 3];
            float two = w0 * b[i] + w1 * b[i + 1] + w2 * b[i + 2] + w3 * b[i + 3];
            float three = w0 * c[i] + w1 * c[i + 1] + w2 * c[i + 2] + w3 * c[i + 3];
            float four = w0 * d[i] + w1 * d[i + 1] + w2 * d[i + 2] + w3 * d[i + 3];
            found[i] = wy[i] * one + wy[i + wide] * two + wy[i + 2 * wide] * three
                + wy[i + 3 * wide] * four;
        }
    }
}

/* One pixel near a border, which is repeated. */
static float interpolated_at_border(
    const Level *level, const float *image, int64_t left, int64_t top, const float *wx,
    const float *wy, int64_t wide)
{
    float sum = 0;
    for (int j = 0; j < 4; j++) {
        const float *row = image + within(top - 1 + j, level->height) * level->width;
        for (int k = 0; k < 4; k++)
            sum += wy[j * wide] * wx[k * wide] * row[within(left - 1 + k, level->width)];
    }
    return sum;
}

/* Luma and gradients of a window's row: runs of pixels whose neighbours are in line. */
PART void sample_row(const Level *level, const Memory *m, int64_t x, int64_t y, float *const found[3])
{
    const int64_t width = level->width;
    const int side = (int)m->side;
    for (int first = 0, last; first < side; first = last) {
        int64_t left = x + first + m->left[first], top = y + m->top[first];
        int64_t room = width - LANES - 2 - left; /* a run reads so far beyond its end */
        last = first + 1;
        if (left < 1 || top < 1 || top + 2 >= level->height || room < 1) {
            for (int k = 0; k < 3; k++)
                found[k][first] = interpolated_at_border(
                    level, level->source[k], left, top, m->weight_x + first,
                    m->weight_y + first, m->wide);
            continue;
        }
        int end = room < side - first ? first + (int)room : side;
        while (last < end && m->left[last] == m->left[first] && m->top[last] == m->top[first])
            last++;
        for (int k = 0; k < 3; k++)
            interpolate(
                level->source[k] + (top - 1) * width + left - 1, width, last - first,
                m->weight_x + first, m->weight_y + first, m->wide, found[k] + first);
    }
}

/* Adds the row sums of a block row up block by block. */
PART void into_blocks(const Memory *m, int kinds, int64_t block, int row, double (*found)[ALL_BLOCKS])
{
    for (int k = 0; k < kinds; k++)
        for (int b = 0; b < BLOCKS; b++) {
            const float *part = m->sums + k * m->wide + b * block;
            float sum = 0;
            #pragma omp simd reduction(+ : sum)
            for (int i = 0; i < (int)block; i++) sum += part[i];
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
    const float *along_x = level->displacements[0] + 3 * number;
    const float *along_y = level->displacements[1] + 3 * number;
    const int wide = (int)m->wide;
    float *restrict sums = m->sums;
    for (int64_t row = 0; row < m->side; row++) {
        float *const into[3] = {
            m->luma + row * wide, m->along_x + row * wide, m->along_y + row * wide};
        float *restrict luma = into[0], *restrict gx = into[1], *restrict gy = into[2];
        float *restrict phone = m->phone + row * wide;
        const float *restrict counted = m->counted, *restrict mx = m->missed_x;
        const float *restrict my = m->missed_y;
        place_row(wide, along_x[0] + along_x[2] * row, along_x[1], m->left, m->weight_x, m->missed_x);
        place_row(wide, along_y[0] + along_y[2] * row, along_y[1], m->top, m->weight_y, m->missed_y);
        sample_row(level, m, corner[0], corner[1] + row, into);
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
            into_blocks(m, MOMENTS, level->block, (int)(row / level->block), found);
    }
}

/* How far residuals spread, as if they were normal. */
PART float spread(const Memory *m, const uint8_t *mask, float gain, float offset, double counted)
{
    double sum = 0;
    for (int64_t row = 0; row < m->side; row++) {
        const float *luma = m->luma + row * m->wide, *phone = m->phone + row * m->wide;
        float part = 0;
        count_row(m, mask, row);
        #pragma omp simd reduction(+ : part)
        for (int i = 0; i < (int)m->wide; i++)
            part += m->counted[i] * fabsf(phone[i] - gain * luma[i] - offset);
        sum += part;
    }
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
            into_blocks(m, PRODUCTS, level->block, (int)(row / level->block), found);
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
    const int64_t row = wide + LANES;
    float *memory = calloc(4 * area + (4 + 4 + 3 + PRODUCTS + 2) * row, sizeof(float));
    float *rows = memory + 4 * area;
    *m = (Memory){
        side, wide, memory, memory + area, memory + 2 * area, memory + 3 * area, rows,
        rows + 4 * row, rows + 8 * row, rows + 9 * row, rows + 10 * row, rows + 11 * row,
        (int32_t *)(rows + (11 + PRODUCTS) * row), (int32_t *)(rows + (12 + PRODUCTS) * row)};
    return memory;
}

int block_sums(
    const float *target, const float *luma, const float *along_x, const float *along_y,
    int64_t height, int64_t width, int64_t block, int64_t count, const int64_t *corners,
    const float *displacements, const uint8_t *masks, double *products, double *pixels,
    double *powers, double *both, double *texture)
{
    const Level level = {
        target, {luma, along_x, along_y}, height, width, block,
        {displacements, displacements + 3 * count}};
    Memory m;
    float *memory = take_memory(&m, BLOCKS * block);
    if (!memory) return -1;
    for (int64_t k = 0; k < count; k++) {
        const Found found = {
            products + k * ALL_BLOCKS * COLUMNS * COLUMNS, pixels + k * ALL_BLOCKS,
            powers + k * ALL_BLOCKS, both + k * ALL_BLOCKS, texture + k * ALL_BLOCKS};
        const uint8_t *mask = masks ? masks + k * m.side * m.side : NULL;
        sum_window(&level, &m, k, corners + 2 * k, mask, found);
    }
    free(memory);
    return 0;
}
