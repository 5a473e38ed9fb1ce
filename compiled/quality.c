/* What quality.py's figures are made of: sums over the pixels of patches, and their detail. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "borders.h"
#include "vectorised.h"

enum { RUN = 1024 };                      /* pixels summed in 32 bits */
enum { REACH = 6, TAPS = 2 * REACH + 1 }; /* of the blur: DETAIL_REACH */
enum { ONES, PHONE, DSLR = PHONE + 3, PHONE_LUMA = DSLR + 3, DSLR_LUMA, PHONE_CLIPPED, DSLR_CLIPPED, PLANES };

/* Colours of one side's pixels, and whether any of them is clipped. */
PART void split(const uint8_t *restrict pixels, int n, int low, int high,
                int16_t (*restrict colours)[RUN], int16_t *restrict clipped)
{
    #pragma omp simd
    for (int i = 0; i < n; i++) {
        uint8_t red = pixels[3 * i], green = pixels[3 * i + 1], blue = pixels[3 * i + 2];
        uint8_t least = red < green ? red : green, most = red < green ? green : red;
        least = blue < least ? blue : least;
        most = blue < most ? most : blue;
        colours[0][i] = red;
        colours[1][i] = green;
        colours[2][i] = blue;
        clipped[i] = (least < low) | (most > high);
    }
}

PART void add_product(int16_t (*planes)[RUN], int one, int other, int64_t *sums)
{
    const int16_t *restrict x = planes[one], *restrict y = planes[other];
    int32_t sum = 0;
    for (int i = 0; i < RUN; i++) sum += (int32_t)x[i] * y[i];
    sums[one * PLANES + other] += sum;
}

/* Adds a run of pixels to the sums of the products of two planes that any figure needs. */
FAST static void add_run(const uint8_t *const pixels[2], const uint8_t *const luma[2],
                         const uint8_t *valid, int n, int low, int high, int64_t *sums)
{
    int16_t planes[PLANES][RUN];
    if (n < RUN || !pixels[0]) memset(planes, 0, sizeof planes);
    for (int i = 0; i < n; i++) planes[ONES][i] = valid ? valid[i] : 1;
    for (int side = 0; side < 2; side++) {
        if (pixels[side])
            split(pixels[side], n, low, high, planes + PHONE + 3 * side, planes[PHONE_CLIPPED + side]);
        for (int i = 0; i < n; i++) planes[PHONE_LUMA + side][i] = luma[side][i];
    }
    if (valid)
        for (int k = 1; k < PLANES; k++)
            for (int i = 0; i < n; i++) planes[k][i] *= planes[ONES][i];
    for (int k = 0; k < PLANES; k++) add_product(planes, ONES, k, sums);
    for (int k = PHONE; k < DSLR; k++)
        for (int j = k; j < PHONE_LUMA; j++) add_product(planes, k, j, sums);
    for (int k = DSLR; k <= DSLR_LUMA; k++) add_product(planes, k, k, sums);
    add_product(planes, PHONE_LUMA, DSLR_LUMA, sums);
}

int patch_moments(const uint8_t *phone, const uint8_t *dslr, const uint8_t *phone_luma,
                  const uint8_t *dslr_luma, const uint8_t *valid, int64_t count,
                  int64_t area, int64_t low, int64_t high, int64_t *sums)
{
    for (int64_t k = 0; k < count; k++, sums += PLANES * PLANES)
        for (int64_t first = 0; first < area; first += RUN) {
            const int64_t at = k * area + first, left = area - first;
            const uint8_t *pixels[2] = {phone ? phone + 3 * at : NULL, dslr ? dslr + 3 * at : NULL};
            const uint8_t *luma[2] = {phone_luma + at, dslr_luma + at};
            add_run(pixels, luma, valid ? valid + at : NULL, left < RUN ? left : RUN, low, high, sums);
        }
    return 0;
}

PART int whole_vectors(int length)
{
    return (length + LANES - 1) / LANES * LANES;
}

PART void pad_row(const uint8_t *restrict luma, int width, float *restrict row)
{
    for (int x = 0; x < width; x++) row[REACH + x] = luma[x];
    for (int x = 1; x <= REACH; x++) {
        row[REACH - x] = luma[reflected(-x, width)];
        row[REACH + width - 1 + x] = luma[reflected(width - 1 + x, width)];
    }
}

PART void blur_down(const float *const rows[TAPS], int wide, const float *taps, float *restrict out)
{
    #pragma omp simd
    for (int x = 0; x < wide; x++) {
        float sum = taps[0] * rows[REACH][x];
        for (int k = 1; k <= REACH; k++)
            sum += taps[k] * (rows[REACH - k][x] + rows[REACH + k][x]);
        out[x] = sum;
    }
}

/* Adds a row's detail to count, sum and sum of squares. */
PART void add_detail(const float *restrict grey, const float *restrict blurred,
                     const float *restrict counted, int wide, const float *taps, double sums[3])
{
    float count = 0, sum = 0, square = 0;
    #pragma omp simd reduction(+ : count, sum, square)
    for (int x = 0; x < wide; x++) {
        float value = grey[x + REACH] - taps[0] * blurred[x + REACH];
        for (int k = 1; k <= REACH; k++)
            value -= taps[k] * (blurred[x + REACH - k] + blurred[x + REACH + k]);
        count += counted[x];
        sum += counted[x] * value;
        square += counted[x] * value * value;
    }
    sums[0] += count, sums[1] += sum, sums[2] += square;
}

FAST static double detail(const uint8_t *luma, const uint8_t *within, int height, int width,
                          const float *taps, float *memory)
{
    const int wide = whole_vectors(width), stride = wide + LANES;
    float *counted = memory, *blurred = counted + wide, *grey = blurred + stride;
    double sums[3] = {0};
    for (int x = 0; x < wide; x++) counted[x] = x < width;
    for (int y = 0; y < height; y++)
        pad_row(luma + (int64_t)y * width, width, grey + (int64_t)y * stride);
    for (int y = 0; y < height; y++) {
        const float *rows[TAPS];
        for (int k = 0; k < TAPS; k++)
            rows[k] = grey + (int64_t)reflected(y + k - REACH, height) * stride;
        blur_down(rows, whole_vectors(width + 2 * REACH), taps, blurred);
        if (within)
            for (int x = 0; x < width; x++) counted[x] = within[(int64_t)y * width + x];
        add_detail(rows[REACH], blurred, counted, wide, taps, sums);
    }
    double mean = sums[1] / sums[0], power = sums[2] / sums[0] - mean * mean;
    return sums[0] > 0 && power > 0 ? sqrt(power) : 0;
}

int patch_details(const uint8_t *luma, const uint8_t *within, int64_t count, int64_t height,
                  int64_t width, const float *taps, double *found)
{
    float *memory = calloc((height + 2) * (width + 2 * LANES), sizeof(float));
    if (!memory) return -1;
    for (int64_t k = 0, at = 0; k < count; k++, at += height * width)
        found[k] = detail(luma + at, within ? within + at : NULL, height, width, taps, memory);
    free(memory);
    return 0;
}
