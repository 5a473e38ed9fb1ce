/* Windows as both photos show them: blurred, and interpolated where they lie. */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "borders.h"
#include "windows.h"

enum { REACH = 3 };                   /* px of the blur to both sides */
enum { PARTS = 64 };                  /* of a grey level: sampling.py's FINE */
static const float SLACK = 1 / 64.0f; /* px beyond the photo; OpenCV steps by 1/32 */
static const float OUTSIDE = -1e4f;   /* grey levels of pixels beyond it */

/* A part of a photo that is blurred; it may reach beyond the photo, which is mirrored there. */
typedef struct {
    int64_t left, top, width, height;
} Box;

PART int64_t whole_vectors(int64_t length)
{
    return (length + LANES - 1) / LANES * LANES;
}

FAST void mean_over(int side, const float *values, int size, Memory *memory, float *restrict found)
{
    const int reach = side / 2;
    const float share = 1 / (float)(side * side);
    double *restrict columns = memory->columns;
    float *restrict line = memory->line, *restrict threes = memory->threes;
    memset(columns, 0, (size_t)size * sizeof *columns);
    for (int y = -reach; y <= reach; y++) {
        const float *row = values + reflected(y, size) * size;
        for (int x = 0; x < size; x++) columns[x] += row[x];
    }
    for (int y = 0; y < size; y++, found += size) {
        const float *come = values + reflected(y + reach + 1, size) * size;
        const float *gone = values + reflected(y - reach, size) * size;
        for (int x = 0; x < size; x++) {
            line[reach + x] = (float)columns[x];
            columns[x] += (double)come[x] - gone[x];
        }
        for (int x = 1; x <= reach; x++) {
            line[reach - x] = line[reach + x];
            line[reach + size - 1 + x] = line[reach + size - 1 - x];
        }
        for (int x = 0; x < size + 2 * reach; x++) threes[x] = line[x] + line[x + 1] + line[x + 2];
        for (int from = 0; from < size; from += LANES) { /* what is too much is overwritten */
            float sums[LANES] = {0};
            for (int k = 0; k + 3 <= side; k += 3) {
                #pragma omp simd
                for (int i = 0; i < LANES; i++) sums[i] += threes[from + k + i];
            }
            for (int k = side / 3 * 3; k < side; k++) {
                #pragma omp simd
                for (int i = 0; i < LANES; i++) sums[i] += line[from + k + i];
            }
            #pragma omp simd
            for (int i = 0; i < LANES; i++) found[from + i] = sums[i] * share;
        }
    }
}

PART float pixel(const Photo *photo, int64_t at)
{
    return photo->grey ? photo->grey[at] : (float)photo->fine[at] / PARTS;
}

/* Pixels of a photo's row, some of which are in the photo; beyond it they are mirrored. */
PART void copy_row(const Photo *photo, int64_t y, int64_t left, int64_t n, float *restrict found)
{
    const int64_t width = photo->width, row = reflected((int)y, (int)photo->height) * width;
    const int64_t before = left < 0 ? -left : 0, end = left + n < width ? n : width - left;
    for (int64_t i = 0; i < before; i++) found[i] = pixel(photo, row + reflected((int)(left + i), (int)width));
    if (photo->grey)
        for (int64_t i = before; i < end; i++) found[i] = photo->grey[row + left + i];
    else
        for (int64_t i = before; i < end; i++) found[i] = (float)photo->fine[row + left + i] / PARTS;
    for (int64_t i = end; i < n; i++) found[i] = pixel(photo, row + reflected((int)(left + i), (int)width));
}

/* A blurred part, in rows of `stride` that have room for whole vectors; `rows` are a row's and
 * REACH px around, for every row of the part and as many around. */
FAST static void blur_part(const Photo *photo, const Box *box, const float *taps, float *rows,
                           float *restrict found, int64_t stride)
{
    const int64_t across = whole_vectors(box->width), wide = across + LANES;
    float *restrict line = rows + (box->height + 2 * REACH) * wide;
    for (int64_t y = 0; y < box->height + 2 * REACH; y++)
        copy_row(photo, box->top + y - REACH, box->left - REACH, across + 2 * REACH, rows + y * wide);
    for (int64_t y = 0; y < box->height; y++, found += stride) {
        const float *restrict near = rows + y * wide;
        #pragma omp simd
        for (int64_t x = 0; x < across + 2 * REACH; x++) {
            float sum = taps[0] * near[REACH * wide + x];
            for (int k = 1; k <= REACH; k++)
                sum += taps[k] * (near[(REACH - k) * wide + x] + near[(REACH + k) * wide + x]);
            line[x] = sum;
        }
        #pragma omp simd
        for (int64_t x = 0; x < across; x++) {
            float sum = taps[0] * line[x + REACH];
            for (int k = 1; k <= REACH; k++)
                sum += taps[k] * (line[x + REACH - k] + line[x + REACH + k]);
            found[x] = sum;
        }
    }
}

/* Where a place has the window's pixels in the DSLR's photo, from the window's corner on. */
FAST static void place_pixels(const Window *window, const double place[PLACE], const uint8_t *said)
{
    const int size = (int)window->placed.size;
    const float middle = (float)(size - 1) / 2, unit = 2 / (float)size;
    float shift[PLACE];
    for (int k = 0; k < PLACE; k++) shift[k] = (float)place[k];
    const float along_x = (float)window->direction[0], along_y = (float)window->direction[1];
    for (int y = 0; y < size; y++) {
        const float down = ((float)y - middle) * unit;
        const float x0 = shift[0] + shift[3] * down, y0 = shift[1] + shift[5] * down + (float)y;
        float *restrict at_x = window->memory->at_x + y * size, *restrict at_y = window->memory->at_y + y * size;
        #pragma omp simd
        for (int x = 0; x < size; x++) {
            const float right = ((float)x - middle) * unit;
            at_x[x] = x0 + (float)x + shift[2] * right;
            at_y[x] = y0 + shift[4] * right;
        }
        if (!said) continue;
        const float *restrict distance = window->distance + y * size;
        #pragma omp simd
        for (int x = 0; x < size; x++) {
            const float parallax = said[y * size + x] ? distance[x] : 0;
            at_x[x] += parallax * along_x;
            at_y[x] += parallax * along_y;
        }
    }
}

/* The photo's pixels that those are between, along one side of it. */
FAST static void between(const float *at, int64_t n, int64_t corner, int64_t length, int64_t *first,
                         int64_t *count)
{
    float low = FLT_MAX, high = -FLT_MAX;
    #pragma omp simd reduction(min : low) reduction(max : high)
    for (int64_t i = 0; i < n; i++) {
        low = at[i] < low ? at[i] : low;
        high = at[i] > high ? at[i] : high;
    }
    const float start = (float)-corner, end = (float)(length - 1 - corner);
    low = low > start ? low < end ? low : end : start;
    high = high > low ? high < end ? high : end : low;
    *first = corner + (int64_t)floorf(low);
    *count = corner + (int64_t)floorf(high) + 2 - *first;
}

/* Linear interpolation in a part. */
FAST static void sample(const Window *window, const Box *box, const float *restrict part, int32_t stride,
                        float *restrict found)
{
    const int32_t *corner = window->placed.corners + 2 * window->number;
    const int64_t n = pixels_of(window);
    const float left = (float)(box->left - corner[0]), top = (float)(box->top - corner[1]);
    const int32_t columns = (int32_t)box->width - 1, rows = (int32_t)box->height - 1;
    const float right = (float)columns, bottom = (float)rows;
    const float start_x = (float)-box->left - SLACK, end_x = (float)(window->dslr.width - 1 - box->left) + SLACK;
    const float start_y = (float)-box->top - SLACK, end_y = (float)(window->dslr.height - 1 - box->top) + SLACK;
    const float *restrict at_x = window->memory->at_x, *restrict at_y = window->memory->at_y;
    #pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float x = at_x[i] - left, y = at_y[i] - top;
        const int outside = (x < start_x) | (x > end_x) | (y < start_y) | (y > end_y);
        x = x > 0 ? x : 0;
        x = x < right ? x : right;
        y = y > 0 ? y : 0;
        y = y < bottom ? y : bottom;
        int32_t column = (int32_t)x, row = (int32_t)y;
        column = column < columns ? column : columns - 1;
        row = row < rows ? row : rows - 1;
        const int32_t at = row * stride + column;
        x -= (float)column;
        y -= (float)row;
        const float upper = part[at] + x * (part[at + 1] - part[at]);
        const float lower = part[at + stride] + x * (part[at + stride + 1] - part[at + stride]);
        found[i] = outside ? OUTSIDE : upper + y * (lower - upper);
    }
}

/* Memory for a part and what its blur needs; the part comes first. */
static float *part_memory(Memory *memory, const Box *box)
{
    const int64_t wide = whole_vectors(box->width) + LANES;
    const int64_t room = (2 * box->height + 2 * REACH + 1) * wide;
    if (room <= memory->room) return memory->part;
    float *part = realloc(memory->part, (size_t)room * sizeof *part);
    if (!part) return NULL;
    memory->part = part;
    memory->room = room;
    return part;
}

int show_phone(const Window *window, float *found)
{
    const int64_t size = window->placed.size;
    const int32_t *corner = window->placed.corners + 2 * window->number;
    const Box box = {corner[0], corner[1], size, size};
    float *part = part_memory(window->memory, &box);
    if (!part) return -1;
    blur_part(&window->phone, &box, window->taps, part, found, size);
    return 0;
}

int show_dslr(const Window *window, const double place[PLACE], const uint8_t *said, float *found)
{
    const int32_t *corner = window->placed.corners + 2 * window->number;
    const Photo *photo = &window->dslr;
    Memory *memory = window->memory;
    Box box;
    place_pixels(window, place, said);
    between(memory->at_x, pixels_of(window), corner[0], photo->width, &box.left, &box.width);
    between(memory->at_y, pixels_of(window), corner[1], photo->height, &box.top, &box.height);
    float *part = part_memory(memory, &box);
    if (!part) return -1;
    const int64_t stride = whole_vectors(box.width);
    blur_part(photo, &box, window->taps, part + box.height * stride, part, stride);
    sample(window, &box, part, (int32_t)stride, found);
    return 0;
}

int open_memory(Memory *memory, int64_t size)
{
    float **planes[] = {&memory->even, &memory->luma, &memory->rest, &memory->power, &memory->energy,
                        &memory->allowed, &memory->own, &memory->slope, &memory->other, &memory->weight,
                        &memory->light, &memory->at_x, &memory->at_y, &memory->product, &memory->mean};
    const int64_t count = sizeof planes / sizeof *planes;
    const int64_t n = whole_vectors(size * size) + LANES, row = 2 * size + 4 * LANES;
    float *floats = calloc((size_t)(count * n + 2 * row), sizeof *floats);
    uint8_t *bytes = malloc((size_t)(3 * n));
    *memory = (Memory){.even = floats, .inside = bytes, .columns = malloc((size_t)size * sizeof(double))};
    if (!floats || !bytes || !memory->columns) return -1;
    for (int64_t k = 0; k < count; k++) *planes[k] = floats + k * n;
    memory->line = floats + count * n;
    memory->threes = memory->line + row;
    memory->near = bytes + n;
    memory->said = memory->near + n;
    return 0;
}

void close_memory(Memory *memory)
{
    free(memory->even);
    free(memory->inside);
    free(memory->columns);
    free(memory->part);
}
