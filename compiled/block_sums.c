/* Sums over the pixels of windows: what likelihood.py fits a window's place to. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define FAST __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FAST
#endif

enum { BLOCKS = 5, COLUMNS = 5, SUMS = 15, LANES = 16 };
#define CUBIC_A (-0.75f)

static inline int clamp(int value, int last) {
    return value < 0 ? 0 : value > last ? last : value;
}

/* One row of a window: where each pixel lies, and the weights of the pixels around. */
static inline __attribute__((always_inline)) void places(
    int n, float x0, float x1, float y0, float y1, int32_t *left, int32_t *top,
    float *wx, float *wy, float *missed, int stride)
{
    #pragma omp simd
    for (int i = 0; i < n; i++) {
        float x = x0 + x1 * i, y = y0 + y1 * i;
        float fx = floorf(x), fy = floorf(y);
        left[i] = (int32_t)fx;
        top[i] = (int32_t)fy;
        float u = x - fx, v = y - fy;
        missed[i] = -u * (1 - u) * (0.5f - u);
        missed[i + stride] = -v * (1 - v) * (0.5f - v);
        float p = u + 1, q = 1 - u, r = 2 - u;
        wx[i] = ((CUBIC_A * p - 5 * CUBIC_A) * p + 8 * CUBIC_A) * p - 4 * CUBIC_A;
        wx[i + stride] = ((CUBIC_A + 2) * u - (CUBIC_A + 3)) * u * u + 1;
        wx[i + 2 * stride] = ((CUBIC_A + 2) * q - (CUBIC_A + 3)) * q * q + 1;
        wx[i + 3 * stride] = ((CUBIC_A * r - 5 * CUBIC_A) * r + 8 * CUBIC_A) * r - 4 * CUBIC_A;
        p = v + 1, q = 1 - v, r = 2 - v;
        wy[i] = ((CUBIC_A * p - 5 * CUBIC_A) * p + 8 * CUBIC_A) * p - 4 * CUBIC_A;
        wy[i + stride] = ((CUBIC_A + 2) * v - (CUBIC_A + 3)) * v * v + 1;
        wy[i + 2 * stride] = ((CUBIC_A + 2) * q - (CUBIC_A + 3)) * q * q + 1;
        wy[i + 3 * stride] = ((CUBIC_A * r - 5 * CUBIC_A) * r + 8 * CUBIC_A) * r - 4 * CUBIC_A;
    }
}

static inline __attribute__((always_inline)) void run_inside(
    const float *restrict image, ptrdiff_t across, int n, const float *restrict wx,
    const float *restrict wy, int stride, float *restrict out)
{
    const float *a = image, *b = a + across, *c = b + across, *d = c + across;
    for (int from = 0; from < n; from += LANES)
    #pragma omp simd
    for (int i = from; i < from + LANES; i++) {
        float w0 = wx[i], w1 = wx[i + stride], w2 = wx[i + 2 * stride], w3 = wx[i + 3 * stride];
        float s = wy[i] * (w0 * a[i] + w1 * a[i + 1] + w2 * a[i + 2] + w3 * a[i + 3]);
        s += wy[i + stride] * (w0 * b[i] + w1 * b[i + 1] + w2 * b[i + 2] + w3 * b[i + 3]);
        s += wy[i + 2 * stride] * (w0 * c[i] + w1 * c[i + 1] + w2 * c[i + 2] + w3 * c[i + 3]);
        s += wy[i + 3 * stride] * (w0 * d[i] + w1 * d[i + 1] + w2 * d[i + 2] + w3 * d[i + 3]);
        out[i] = s;
    }
}

static void run_at_border(
    const float *image, int height, int width, int left, int top, int n,
    const float *wx, const float *wy, int stride, float *out)
{
    #pragma omp simd
    for (int i = 0; i < n; i++) {
        float s = 0;
        for (int j = 0; j < 4; j++) {
            const float *row = image + (ptrdiff_t)clamp(top - 1 + j, height - 1) * width;
            float t = 0;
            for (int k = 0; k < 4; k++)
                t += wx[i + k * stride] * row[clamp(left - 1 + i + k, width - 1)];
            s += wy[i + j * stride] * t;
        }
        out[i] = s;
    }
}

typedef struct {
    const float *target, *source[3];
    int height, width, block;
} Level;

static inline __attribute__((always_inline)) void sample_row(
    const Level *level, int n, const int32_t *left, const int32_t *top,
    const float *wx, const float *wy, int stride, float *const out[3])
{
    const int width = level->width, height = level->height;
    for (int first = 0, last; first < n; first = last) {
        int x = left[first], y = top[first];
        int ready = y >= 1 && y + 2 < height && x >= 1 && x + LANES + 1 < width;
        int most = ready ? width - LANES - 1 - x : n;
        for (last = first + 1; last < n && last - first < most && left[last] == x + last - first && top[last] == y; last++)
            if (!ready && y >= 1 && y + 2 < height && left[last] >= 1 && left[last] + LANES + 1 < width) break;
        int count = last - first;
        ptrdiff_t at = (ptrdiff_t)(y - 1) * width + x - 1;
        for (int k = 0; k < 3; k++) {
            if (ready)
                run_inside(level->source[k] + at, width, count, wx + first, wy + first, stride, out[k] + first);
            else
                run_at_border(level->source[k], height, width, x, y, count, wx + first, wy + first, stride, out[k] + first);
        }
    }
}

/* sums[k][row of blocks][column of blocks] of rows of k products */
static void into_blocks(const float *rows, int kinds, int side, int block, int line, double *sums)
{
    for (int k = 0; k < kinds; k++)
        for (int b = 0; b < BLOCKS; b++) {
            const float *part = rows + (ptrdiff_t)k * side + b * block;
            double sum = 0;
            for (int i = 0; i < block; i++) sum += part[i];
            sums[(k * BLOCKS + line) * BLOCKS + b] = sum;
        }
}

FAST static void one_window(
    const Level *level, const int64_t *corner, const float *warp_x, const float *warp_y,
    const uint8_t *mask, float *memory, double *products, double *pixels, double *powers,
    double *both, double *texture)
{
    const int block = level->block, side = BLOCKS * block, wide = (side + LANES - 1) / LANES * LANES;
    const ptrdiff_t area = side * wide + LANES;
    float *luma = memory, *along_x = luma + area, *along_y = along_x + area, *phone = along_y + area;
    float *wx = phone + area, *wy = wx + 4 * wide, *missed = wy + 4 * wide;
    float *rows = missed + 2 * wide;
    float *counted = rows + SUMS * wide;
    int32_t *left = (int32_t *)(counted + wide), *top = left + wide;
    const float *target = level->target + corner[1] * level->width + corner[0];
    double first[6][BLOCKS * BLOCKS];
    for (int i = 0; i < wide; i++) counted[i] = i < side;

    for (int line = 0; line < BLOCKS; line++) {
        memset(rows, 0, 6 * wide * sizeof(float));
        float *s0 = rows, *s1 = s0 + wide, *s2 = s1 + wide, *s3 = s2 + wide, *s4 = s3 + wide, *s5 = s4 + wide;
        for (int y = line * block; y < (line + 1) * block; y++) {
            places(wide, warp_x[0] + warp_x[2] * y, warp_x[1], warp_y[0] + warp_y[2] * y, warp_y[1], left, top, wx, wy, missed, wide);
            float *l = luma + (ptrdiff_t)y * wide, *gx = along_x + (ptrdiff_t)y * wide, *gy = along_y + (ptrdiff_t)y * wide;
            float *const out[3] = {l, gx, gy};
            sample_row(level, side, left, top, wx, wy, wide, out);
            for (int i = side; i < wide; i++) l[i] = gx[i] = gy[i] = 0;
            float *t = phone + (ptrdiff_t)y * wide;
            memcpy(t, target + (ptrdiff_t)y * level->width, side * sizeof(float));
            for (int i = side; i < wide; i++) t[i] = 0;
            if (mask)
                for (int i = 0; i < side; i++) counted[i] = mask[(ptrdiff_t)y * side + i];
            #pragma omp simd
            for (int i = 0; i < wide; i++) {
                float value = l[i] + missed[i] * gx[i] + missed[i + wide] * gy[i];
                l[i] = value;
                float ml = counted[i] * value, mt = counted[i] * t[i];
                s0[i] += counted[i];
                s1[i] += ml;
                s2[i] += mt;
                s3[i] += ml * value;
                s4[i] += ml * t[i];
                s5[i] += mt * t[i];
            }
        }
        into_blocks(rows, 6, wide, block, line, &first[0][0]);
    }
    double total[6] = {0};
    for (int k = 0; k < 6; k++)
        for (int b = 0; b < BLOCKS * BLOCKS; b++) total[k] += first[k][b];
    double n = total[0] > 0 ? total[0] : 1, mean_l = total[1] / n, mean_t = total[2] / n;
    double power = 0, product = 0;
    for (int b = 0; b < BLOCKS * BLOCKS; b++) {
        double m = first[0][b], l = first[1][b], t = first[2][b], each = m > 1 ? m : 1;
        double ll = first[3][b] - 2 * mean_l * l + m * mean_l * mean_l;
        double lt = first[4][b] - mean_l * t - mean_t * l + m * mean_l * mean_t;
        double tt = first[5][b] - 2 * mean_t * t + m * mean_t * mean_t;
        pixels[b] = m, powers[b] = ll / each, both[b] = lt / each, texture[b] = tt / each;
        power += ll, product += lt;
    }
    power /= n, product /= n;
    float gain = (float)(product / (power > 1e-4 ? power : 1e-4));
    float own_mean = (float)mean_l, other_mean = (float)mean_t;

    double spread = 0;
    for (int y = 0; y < side; y++) {
        const float *l = luma + (ptrdiff_t)y * wide, *t = phone + (ptrdiff_t)y * wide;
        float sum = 0;
        if (mask)
            for (int i = 0; i < side; i++) counted[i] = mask[(ptrdiff_t)y * side + i];
        #pragma omp simd reduction(+:sum)
        for (int i = 0; i < wide; i++)
            sum += counted[i] * fabsf((t[i] - other_mean) - gain * (l[i] - own_mean));
        spread += sum;
    }
    float scale = (float)(1 / (3.0 * (1.25 * spread / n + 1e-3)));

    double second[SUMS][BLOCKS * BLOCKS];
    for (int line = 0; line < BLOCKS; line++) {
        memset(rows, 0, SUMS * wide * sizeof(float));
        for (int y = line * block; y < (line + 1) * block; y++) {
            const float *restrict l = luma + (ptrdiff_t)y * wide, *restrict gx = along_x + (ptrdiff_t)y * wide, *restrict gy = along_y + (ptrdiff_t)y * wide, *restrict t = target + (ptrdiff_t)y * level->width;
            float *restrict s = rows;
            if (mask)
                for (int i = 0; i < side; i++) counted[i] = mask[(ptrdiff_t)y * side + i];
            #pragma omp simd
            for (int i = 0; i < wide; i++) {
                float v = l[i] - own_mean, rest = (t[i] - other_mean) - gain * v;
                float far = scale * rest, w = counted[i] / (1 + far * far);
                float wgx = w * gx[i], wgy = w * gy[i], wv = w * v, wr = w * rest;
                s[i] += wgx * gx[i];
                s[i + wide] += wgx * gy[i];
                s[i + 2 * wide] += wgy * gy[i];
                s[i + 3 * wide] += wgx * v;
                s[i + 4 * wide] += wgy * v;
                s[i + 5 * wide] += wv * v;
                s[i + 6 * wide] += wgx * rest;
                s[i + 7 * wide] += wgy * rest;
                s[i + 8 * wide] += wv * rest;
                s[i + 9 * wide] += wr * rest;
                s[i + 10 * wide] += wgx;
                s[i + 11 * wide] += wgy;
                s[i + 12 * wide] += wv;
                s[i + 13 * wide] += wr;
                s[i + 14 * wide] += w;
            }
        }
        into_blocks(rows, SUMS, wide, block, line, &second[0][0]);
    }
    static const int row[SUMS] = {0, 0, 1, 0, 1, 2, 0, 1, 2, 3, 0, 1, 2, 3, 4};
    static const int column[SUMS] = {0, 1, 1, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4};
    for (int k = 0; k < SUMS; k++)
        for (int b = 0; b < BLOCKS * BLOCKS; b++) {
            double *matrix = products + b * COLUMNS * COLUMNS;
            matrix[row[k] * COLUMNS + column[k]] = matrix[column[k] * COLUMNS + row[k]] = second[k][b];
        }
}

int evidence_sums(
    const float *target, const float *luma, const float *along_x, const float *along_y,
    int64_t height, int64_t width, int64_t block, int64_t count, const int64_t *corners,
    const float *warps, const uint8_t *masks, double *products, double *pixels,
    double *powers, double *both, double *texture)
{
    Level level = {target, {luma, along_x, along_y}, (int)height, (int)width, (int)block};
    const int64_t side = BLOCKS * block, area = side * side, blocks = BLOCKS * BLOCKS;
    float *memory = malloc((4 * (side + 1) + 4 + 4 + 2 + SUMS + 1 + 2) * (side + 2 * LANES) * sizeof(float));
    if (!memory) return -1;
    for (int64_t k = 0; k < count; k++)
        one_window(&level, corners + 2 * k, warps + 3 * k, warps + 3 * (count + k),
            masks ? masks + k * area : NULL, memory, products + k * blocks * COLUMNS * COLUMNS,
            pixels + k * blocks, powers + k * blocks, both + k * blocks, texture + k * blocks);
    free(memory);
    return 0;
}
