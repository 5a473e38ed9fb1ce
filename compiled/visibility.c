/* Which pixels of windows both photos show: visibility.py says how they are judged. */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "borders.h"
#include "vectorised.h"

enum { REACH = 3, TAPS = 2 * REACH + 1, PLACE = 6, RIVALS = 3, LEAST_PIXELS = 200 };
enum { LIGHT = 15, ALIKE = 7, SHIFT = 21, FINE = 3, OWN = 5, RIVAL = 9 }; /* sides of squares */
static const float SLACK = 1 / 64.0f; /* px beyond the photo; OpenCV steps by 1/32 */
static const float OUTSIDE = -1e4f, DARKEST = -50, LIGHT_FLOOR = 1e-3f;
static const float MAX_RESIDUAL = 4, DETAIL_SHARE = 0.25f, LEAST_POWER = 1;
static const float LEAST_SLOPE = 2e-6f, CORRELATED = 20;
static const float APART = 0.5f, APART_SIGMA = 1.5f, APART_FAR_SIGMA = 3, UNKNOWN = 1;
static const float BEATEN = 0.7f, OVERRULED = 0.5f;
static const float KNOWN_FAR = 40, RIVAL_FAR = 32, APART_FAR = 24, CALM_FAR = 4;
static const float DOUBTED = 4, FEW_OTHERS = 0.002f;
static const double RIVAL_REACH = 1.3, RIVAL_NEAR = 1.5, RIVAL_OFF = 80;

/* Luma as whole numbers or as floats. */
typedef struct {
    const uint8_t *grey;
    const float *luma;
    int64_t height, width;
} Photo;

/* A part of a photo that is blurred; it may reach beyond the photo, which is mirrored there. */
typedef struct {
    int64_t left, top, width, height;
} Box;

/* All windows with their places. */
typedef struct {
    int64_t count, size;
    const int32_t *corners;
    const double *places;
} Placed;

/* Planes of a window's pixels, with room behind them for a whole vector. */
typedef struct {
    float *even, *luma, *rest, *power, *energy, *allowed, *own, *slope, *other;
    float *weight, *light; /* of near pixels; 1 / their mean around each pixel */
    float *at_x, *at_y, *product, *mean;
    uint8_t *inside, *near, *said;
    double *columns;
    float *line, *threes, *part;
    int64_t room; /* floats of the part */
} Memory;

typedef struct {
    Photo phone, dslr;
    Placed placed;
    const float *taps;
    int64_t number; /* of the window */
    int calm;
    const float *distance, *away;
    const uint8_t *near;
    const double *direction;
    float gain, typical;
    Memory *memory;
} Window;

PART int64_t whole_vectors(int64_t length)
{
    return (length + LANES - 1) / LANES * LANES;
}

PART int64_t pixels_of(const Window *window)
{
    return window->placed.size * window->placed.size;
}

/* Means over squares; beyond the window its pixels are mirrored. LEAST_PIXELS keep it wider
 * than half a square. */
FAST static void mean_over(int side, const float *values, int size, Memory *memory, float *restrict found)
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
    return photo->grey ? photo->grey[at] : photo->luma[at];
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
        memcpy(found + before, photo->luma + row + left + before, (size_t)(end - before) * sizeof *found);
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
        for (int64_t x = 0; x < wide; x++) {
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

/* Where a place has the window's pixels in the DSLR's photo, less the window's corner; those
 * said to be elsewhere by their parallax besides. */
FAST static void place_pixels(const Window *window, const float place[PLACE], const uint8_t *said)
{
    const int size = (int)window->placed.size;
    const float middle = (float)(size - 1) / 2, unit = 2 / (float)size;
    const float along_x = (float)window->direction[0], along_y = (float)window->direction[1];
    for (int y = 0; y < size; y++) {
        const float down = ((float)y - middle) * unit;
        const float x0 = place[0] + place[3] * down, y0 = place[1] + place[5] * down + (float)y;
        float *restrict at_x = window->memory->at_x + y * size, *restrict at_y = window->memory->at_y + y * size;
        #pragma omp simd
        for (int x = 0; x < size; x++) {
            const float right = ((float)x - middle) * unit;
            at_x[x] = x0 + (float)x + place[2] * right;
            at_y[x] = y0 + place[4] * right;
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
FAST static void between(const float *at, int64_t n, int64_t corner, int64_t length, int64_t *first, int64_t *count)
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
FAST static void sample(const Window *window, const Box *box, const float *restrict part, int32_t stride, float *restrict found)
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

/* The DSLR's luma at a place. */
static int render(const Window *window, const float place[PLACE], const uint8_t *said, float *found)
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

/* Less the mean of near pixels around each; what lies outside is grey. */
FAST static void centre(const Window *window, float *restrict luma)
{
    Memory *memory = window->memory;
    const int64_t n = pixels_of(window);
    float *restrict product = memory->product;
    const float *restrict weight = memory->weight, *restrict light = memory->light, *restrict mean = memory->mean;
    for (int64_t i = 0; i < n; i++) {
        luma[i] = luma[i] > DARKEST ? luma[i] : DARKEST;
        product[i] = luma[i] * weight[i];
    }
    mean_over(LIGHT, product, (int)window->placed.size, memory, memory->mean);
    for (int64_t i = 0; i < n; i++) luma[i] -= mean[i] * light[i];
}

/* Residual power of a rendering, which is overwritten by it, over a rival's square. */
FAST static void power_left(const Window *window, float *restrict luma)
{
    const int64_t n = pixels_of(window);
    const float *restrict even = window->memory->even;
    float *restrict product = window->memory->product;
    centre(window, luma);
    for (int64_t i = 0; i < n; i++) {
        const float rest = even[i] - window->gain * luma[i];
        product[i] = rest * rest;
    }
    mean_over(RIVAL, product, (int)window->placed.size, window->memory, luma);
}

/* Which pixels both photos have near the window's surface: how many. */
FAST static int count_near(const Window *window)
{
    const int64_t n = pixels_of(window);
    uint8_t *restrict inside = window->memory->inside, *restrict near = window->memory->near;
    float *restrict weight = window->memory->weight;
    const float *restrict luma = window->memory->luma;
    const uint8_t *restrict said = window->near;
    int32_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        inside[i] = luma[i] > DARKEST;
        near[i] = inside[i] & said[i];
        weight[i] = near[i];
        count += near[i];
    }
    return count;
}

FAST static void weigh_light(const Window *window, int whole)
{
    const int64_t n = pixels_of(window);
    float *restrict light = window->memory->light;
    if (!whole) mean_over(LIGHT, window->memory->weight, (int)window->placed.size, window->memory, light);
    for (int64_t i = 0; i < n; i++) light[i] = whole ? 1 : 1 / (light[i] + LIGHT_FLOOR);
}

/* The DSLR as bright as the phone, and what is left of the phone then. */
FAST static void match_photos(Window *window)
{
    const Memory *memory = window->memory;
    const int64_t size = window->placed.size;
    double power = 0, alike = 0;
    for (int64_t y = 0; y < size; y++) {
        const float *restrict luma = memory->luma + y * size, *restrict even = memory->even + y * size;
        const float *restrict weight = memory->weight + y * size;
        float square = 0, product = 0;
        #pragma omp simd reduction(+ : square, product)
        for (int64_t x = 0; x < size; x++) {
            square += weight[x] * luma[x] * luma[x];
            product += weight[x] * luma[x] * even[x];
        }
        power += square;
        alike += product;
    }
    const double gain = alike / (power > 1e-3 ? power : 1e-3);
    window->gain = (float)(gain > 10 ? 10 : gain > 0.05 ? gain : 0.05);
    float *restrict luma = memory->luma, *restrict rest = memory->rest, *restrict square = memory->power;
    const float *restrict even = memory->even;
    for (int64_t i = 0; i < size * size; i++) {
        luma[i] *= window->gain;
        rest[i] = even[i] - luma[i];
        square[i] = rest[i] * rest[i];
    }
}

/* The value that would be at `place` if they were sorted; reorders them. */
static float ranked(float *values, int64_t n, int64_t place)
{
    int64_t low = 0, high = n - 1;
    while (low < high) {
        const float pivot = values[low + (high - low) / 2];
        int64_t i = low, j = high;
        while (i <= j) {
            while (values[i] < pivot) i++;
            while (values[j] > pivot) j--;
            if (i > j) break;
            const float held = values[i];
            values[i++] = values[j];
            values[j--] = held;
        }
        if (place <= j)
            high = j;
        else if (place >= i)
            low = i;
        else
            break;
    }
    return values[place];
}

/* The median of near pixels, of every other row and column if any are. */
static float typical_energy(const Window *window)
{
    const Memory *memory = window->memory;
    const int64_t size = window->placed.size;
    for (int64_t step = 2;; step--) {
        int64_t n = 0;
        for (int64_t y = 0; y < size; y += step)
            for (int64_t x = y * size; x < (y + 1) * size; x += step) {
                memory->product[n] = memory->energy[x];
                n += memory->near[x];
            }
        if (n) return ranked(memory->product, n, n / 2);
    }
}

/* Residual power, and how much of it is allowed where both photos look alike. */
FAST static void allow(Window *window)
{
    Memory *memory = window->memory;
    const int size = (int)window->placed.size;
    const int64_t n = pixels_of(window);
    float *restrict product = memory->product, *restrict allowed = memory->allowed;
    const float *restrict luma = memory->luma, *restrict mean = memory->mean;
    mean_over(ALIKE, memory->power, size, memory, memory->energy);
    window->typical = typical_energy(window);
    mean_over(FINE, luma, size, memory, memory->mean);
    for (int64_t i = 0; i < n; i++) product[i] = (luma[i] - mean[i]) * (luma[i] - mean[i]);
    mean_over(ALIKE, product, size, memory, allowed);
    const float least = window->typical + LEAST_POWER;
    for (int64_t i = 0; i < n; i++) allowed[i] = MAX_RESIDUAL * (least + DETAIL_SHARE * allowed[i]);
}

/* Whether a window whose parts lie together is judged by residuals alone, and if, its pixels. */
FAST static int judge_calm(const Window *window, uint8_t *restrict valid)
{
    const Memory *memory = window->memory;
    const int64_t n = pixels_of(window);
    const float *restrict energy = memory->energy, *restrict allowed = memory->allowed;
    const float *restrict away = window->away, *restrict distance = window->distance;
    const uint8_t *restrict near = memory->near, *restrict inside = memory->inside;
    int32_t others = 0, apart = 0;
    for (int64_t i = 0; i < n; i++) {
        others += away[i] <= CALM_FAR;
        apart += fabsf(distance[i]) > DOUBTED;
    }
    if (others && (float)apart >= FEW_OTHERS * (float)n) return 0;
    const float most = others ? DOUBTED : 0;
    for (int64_t i = 0; i < n; i++)
        valid[i] = (energy[i] < allowed[i]) & (near[i] | (inside[i] & (fabsf(distance[i]) < most)));
    return 1;
}

/* The DSLR's slope along parallax, of near pixels. */
FAST static void slope_along(const Window *window)
{
    const Memory *memory = window->memory;
    const int size = (int)window->placed.size;
    const double *direction = window->direction, length = 8 * hypot(direction[0], direction[1]);
    const float along_x = (float)(direction[0] / length), along_y = (float)(direction[1] / length);
    float *restrict smooth = memory->line + 1, *restrict change = smooth + size + 2;
    for (int y = 0; y < size; y++) {
        const float *upper = memory->luma + reflected(y - 1, size) * size;
        const float *own = memory->luma + y * size;
        const float *lower = memory->luma + reflected(y + 1, size) * size;
        for (int x = 0; x < size; x++) {
            smooth[x] = along_x * (upper[x] + 2 * own[x] + lower[x]);
            change[x] = along_y * (lower[x] - upper[x]);
        }
        smooth[-1] = smooth[reflected(-1, size)], smooth[size] = smooth[reflected(size, size)];
        change[-1] = change[reflected(-1, size)], change[size] = change[reflected(size, size)];
        const float *restrict weight = memory->weight + y * size;
        float *restrict slope = memory->slope + y * size;
        for (int x = 0; x < size; x++)
            slope[x] = weight[x] * (smooth[x + 1] - smooth[x - 1] + change[x - 1] + 2 * change[x] + change[x + 1]);
    }
}

/* What both photos tell; and which pixels the map has elsewhere, though they look alike: whether any. */
FAST static int judge_shifts(const Window *window, uint8_t *restrict valid)
{
    Memory *memory = window->memory;
    const int size = (int)window->placed.size;
    const int64_t n = pixels_of(window);
    float *restrict product = memory->product, *restrict slope = memory->slope;
    float *restrict information = memory->other, *restrict score = memory->mean;
    const float *restrict rest = memory->rest, *restrict energy = memory->energy, *restrict allowed = memory->allowed;
    const float *restrict away = window->away, *restrict distance = window->distance;
    const uint8_t *restrict near = memory->near, *restrict inside = memory->inside;
    uint8_t *restrict said = memory->said;
    slope_along(window);
    for (int64_t i = 0; i < n; i++) product[i] = slope[i] * slope[i];
    mean_over(SHIFT, product, size, memory, information);
    for (int64_t i = 0; i < n; i++) product[i] = slope[i] * rest[i];
    mean_over(SHIFT, product, size, memory, score);
    const float noise = window->typical * CORRELATED / (float)(SHIFT * SHIFT);
    int any = 0;
    for (int64_t i = 0; i < n; i++) {
        const float known = information[i] > LEAST_SLOPE ? information[i] : LEAST_SLOPE;
        const float error = sqrtf(noise / known);
        const float shift = fabsf(score[i] / (information[i] + noise + LEAST_SLOPE));
        const float sigmas = away[i] > APART_FAR ? APART_FAR_SIGMA : APART_SIGMA;
        const int apart = (shift > APART) & (shift > sigmas * error);
        const int told = error < UNKNOWN, good = (energy[i] < allowed[i]) & !apart;
        const int elsewhere = (fabsf(distance[i]) < FLT_MAX) & inside[i] & !near[i];
        valid[i] = good & near[i] & (told | (away[i] > KNOWN_FAR));
        said[i] = good & told & elsewhere;
        any |= said[i];
    }
    return any;
}

/* Adds what the map has elsewhere, where that explains the pixels clearly worse. */
FAST static void overrule(const Window *window, uint8_t *restrict valid)
{
    const float *restrict own = window->memory->own, *restrict other = window->memory->other;
    const uint8_t *restrict said = window->memory->said;
    const int64_t n = pixels_of(window);
    power_left(window, window->memory->other);
    for (int64_t i = 0; i < n; i++) valid[i] |= said[i] & (own[i] < OVERRULED * other[i]);
}

/* Drops what a rival explains as well. */
FAST static void compete(const Window *window, uint8_t *restrict valid)
{
    const float *restrict own = window->memory->own, *restrict other = window->memory->other;
    const float *restrict away = window->away;
    const int64_t n = pixels_of(window);
    power_left(window, window->memory->other);
    for (int64_t i = 0; i < n; i++)
        valid[i] &= (own[i] < BEATEN * other[i]) | (away[i] > RIVAL_FAR);
}

FAST static int any_contested(const Window *window, const uint8_t *valid)
{
    const float *restrict away = window->away;
    const int64_t n = pixels_of(window);
    int any = 0;
    for (int64_t i = 0; i < n; i++) any |= valid[i] & (away[i] <= RIVAL_FAR);
    return any;
}

/* A surface's place, carried over to the window: how far off it is; 0 where it is no rival. */
static double carry(const Window *window, int64_t number, double place[PLACE])
{
    const Placed *placed = &window->placed;
    const int32_t *own = placed->corners + 2 * window->number, *corner = placed->corners + 2 * number;
    const double half = (double)placed->size / 2;
    const double x = (own[0] - corner[0]) / half, y = (own[1] - corner[1]) / half;
    if (number == window->number || !(fmax(fabs(x), fabs(y)) < 2 * RIVAL_REACH)) return 0;
    memcpy(place, placed->places + PLACE * number, PLACE * sizeof *place);
    place[0] += place[2] * x + place[3] * y;
    place[1] += place[4] * x + place[5] * y;
    const double *here = placed->places + PLACE * window->number;
    const double off = hypot(place[0] - here[0], place[1] - here[1]);
    return off > RIVAL_NEAR && off < RIVAL_OFF ? off : 0;
}

/* Places of surfaces around a window, carried over to it, the nearest first: how many. */
static int find_rivals(const Window *window, double rivals[RIVALS][PLACE])
{
    for (int found = 0; found < RIVALS; found++) {
        double nearest = INFINITY;
        for (int64_t number = 0; number < window->placed.count; number++) {
            double place[PLACE];
            const double off = carry(window, number, place);
            int taken = !(off > 0 && off < nearest);
            for (int k = 0; k < found && !taken; k++)
                taken = hypot(place[0] - rivals[k][0], place[1] - rivals[k][1]) <= RIVAL_NEAR;
            if (taken) continue;
            nearest = off;
            memcpy(rivals[found], place, sizeof place);
        }
        if (nearest == INFINITY) return found;
    }
    return RIVALS;
}

static int render_place(const Window *window, const double place[PLACE], const uint8_t *said, float *found)
{
    float rounded[PLACE];
    for (int k = 0; k < PLACE; k++) rounded[k] = (float)place[k];
    return render(window, rounded, said, found);
}

/* Both photos in the window, where they show enough of its surface; valid is 0 otherwise. */
static int judge_window(Window *window, uint8_t *valid)
{
    Memory *memory = window->memory;
    const int64_t size = window->placed.size;
    const int32_t *corner = window->placed.corners + 2 * window->number;
    const double *place = window->placed.places + PLACE * window->number;
    const Box box = {corner[0], corner[1], size, size};
    float *part = part_memory(memory, &box);
    if (!part || render_place(window, place, NULL, memory->luma)) return -1;
    const int near = count_near(window);
    if (near < LEAST_PIXELS) return 0;
    blur_part(&window->phone, &box, window->taps, memory->part, memory->even, size);
    weigh_light(window, near == size * size);
    centre(window, memory->even);
    centre(window, memory->luma);
    match_photos(window);
    allow(window);
    if (window->calm && judge_calm(window, valid)) return 0;
    const int any = judge_shifts(window, valid);
    mean_over(OWN, memory->power, (int)size, memory, memory->own);
    if (any) {
        if (render_place(window, place, memory->said, memory->other)) return -1;
        overrule(window, valid);
    }
    double rivals[RIVALS][PLACE];
    const int found = any_contested(window, valid) ? find_rivals(window, rivals) : 0;
    for (int k = 0; k < found; k++) {
        if (render_place(window, rivals[k], NULL, memory->other)) return -1;
        compete(window, valid);
    }
    return 0;
}

/* Lays all planes of windows into `memory`, whose first are floats: how many bytes they are. */
static int64_t lay_planes(Memory *memory, int64_t size, char *start)
{
    const int64_t n = whole_vectors(size * size) + LANES;
    float **floats[] = {&memory->even, &memory->luma, &memory->rest, &memory->power, &memory->energy,
                        &memory->allowed, &memory->own, &memory->slope, &memory->other, &memory->weight,
                        &memory->light, &memory->at_x, &memory->at_y, &memory->product, &memory->mean};
    uint8_t **bytes[] = {&memory->inside, &memory->near, &memory->said};
    int64_t laid = 0;
    for (size_t k = 0; k < sizeof floats / sizeof *floats; k++, laid += n * (int64_t)sizeof(float))
        *floats[k] = start ? (float *)(start + laid) : NULL;
    memory->columns = start ? (double *)(start + laid) : NULL;
    laid += (size + 1) / 2 * 2 * (int64_t)sizeof(double);
    memory->line = start ? (float *)(start + laid) : NULL;
    laid += (2 * size + 4 * LANES) * (int64_t)sizeof(float);
    memory->threes = start ? (float *)(start + laid) : NULL;
    laid += (size + 4 * LANES) * (int64_t)sizeof(float);
    for (size_t k = 0; k < sizeof bytes / sizeof *bytes; k++, laid += n)
        *bytes[k] = start ? (uint8_t *)start + laid : NULL;
    return laid;
}

/*
 * Valid pixels (count, size, size), 0 at first, of the windows `rows` of all `placed`, before
 * they are tidied. Photos are (height, width), the phone's of whole numbers; of the windows
 * asked for are distance, near and away (count, size, size) and direction (count, 2). `taps`
 * are a blur's middle one and those on one side. Returns -1 where memory lacks.
 */
int judge_windows(
    const uint8_t *phone, int64_t phone_height, int64_t phone_width, const float *dslr,
    int64_t height, int64_t width, const float *taps, const int32_t *corners,
    const double *places, int64_t placed, int64_t size, const uint8_t *calm,
    const int64_t *rows, int64_t count, const float *distance, const uint8_t *near,
    const float *away, const double *direction, uint8_t *valid)
{
    Memory memory = {0};
    char *planes = calloc(1, (size_t)lay_planes(&memory, size, NULL));
    if (!planes) return -1;
    lay_planes(&memory, size, planes);
    int failed = 0;
    for (int64_t k = 0, at = 0; k < count && !failed; k++, at += size * size) {
        Window window = {
            .phone = {phone, NULL, phone_height, phone_width}, .dslr = {NULL, dslr, height, width},
            .placed = {placed, size, corners, places}, .taps = taps, .number = rows[k],
            .calm = calm[rows[k]], .distance = distance + at, .away = away + at, .near = near + at,
            .direction = direction + 2 * k, .memory = &memory};
        failed = judge_window(&window, valid + at);
    }
    free(memory.part);
    free(planes);
    return failed ? -1 : 0;
}
