/* Which pixels of windows both photos show: visibility.py says how they are judged. */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "borders.h"
#include "windows.h"

enum { RIVALS = 3, LEAST_PIXELS = 200 };
enum { LIGHT = 15, ALIKE = 7, SHIFT = 21, FINE = 3, OWN = 5, RIVAL = 9 }; /* sides of squares */
static const float DARKEST = -50, LIGHT_FLOOR = 1e-3f;
static const float MAX_RESIDUAL = 4, DETAIL_SHARE = 0.25f, LEAST_POWER = 1;
static const float LEAST_SLOPE = 2e-6f, CORRELATED = 20;
static const float APART = 0.5f, APART_SIGMA = 1.5f, APART_FAR_SIGMA = 3, UNKNOWN = 1;
static const float BEATEN = 0.7f, OVERRULED = 0.5f;
static const float KNOWN_FAR = 40, RIVAL_FAR = 32, APART_FAR = 24;
static const float DOUBTED = 4, FEW_OTHERS = 0.002f, FEW_DOUBTED = 0.01f;
static const double RIVAL_REACH = 1.3, RIVAL_NEAR = 1.5, RIVAL_OFF = 80;

/* Less the mean of near pixels around each; what lies outside is grey. */
FAST static void centre(const Window *window, float *restrict luma)
{
    Memory *memory = window->memory;
    const int64_t n = pixels_of(window);
    float *restrict product = memory->product;
    float *restrict mean = memory->mean;
    const float *restrict weight = memory->weight, *restrict light = memory->light;
    for (int64_t i = 0; i < n; i++) {
        luma[i] = luma[i] > DARKEST ? luma[i] : DARKEST;
        product[i] = luma[i] * weight[i];
    }
    mean_over(LIGHT, product, (int)window->placed.size, memory, mean);
    for (int64_t i = 0; i < n; i++) luma[i] -= mean[i] * light[i];
}

/* Residual power of another rendering, which is made even, into `product`. */
FAST static void square_rest(const Window *window, float *restrict luma)
{
    centre(window, luma);
    const int64_t n = pixels_of(window);
    const float *restrict even = window->memory->even;
    float *restrict product = window->memory->product;
    for (int64_t i = 0; i < n; i++) {
        const float rest = even[i] - window->gain * luma[i];
        product[i] = rest * rest;
    }
}

/* Residual power of a rendering, which is overwritten by it, over a rival's square. */
FAST static void power_left(const Window *window, float *restrict luma)
{
    square_rest(window, luma);
    mean_over(RIVAL, window->memory->product, (int)window->placed.size, window->memory, luma);
}

/* Which pixels both photos have near the window's surface, or perhaps do: how many. */
FAST static int count_near(const Window *window, int doubted)
{
    const int64_t n = pixels_of(window);
    uint8_t *restrict inside = window->memory->inside, *restrict near = window->memory->near;
    float *restrict weight = window->memory->weight;
    const float *restrict luma = window->memory->luma, *restrict distance = window->distance;
    memcpy(near, window->near, (size_t)n);
    if (doubted)
        for (int64_t i = 0; i < n; i++) near[i] |= fabsf(distance[i]) < DOUBTED;
    int32_t count = 0;
    for (int64_t i = 0; i < n; i++) {
        inside[i] = luma[i] > DARKEST;
        near[i] &= inside[i];
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
    mean_over(ALIKE, memory->power, size, memory, memory->energy);
    window->typical = typical_energy(window);
    float *restrict product = memory->product, *restrict allowed = memory->allowed;
    float *restrict mean = memory->mean;
    const float *restrict luma = memory->luma;
    mean_over(FINE, luma, size, memory, mean);
    for (int64_t i = 0; i < n; i++) product[i] = (luma[i] - mean[i]) * (luma[i] - mean[i]);
    mean_over(ALIKE, product, size, memory, allowed);
    const float least = window->typical + LEAST_POWER;
    for (int64_t i = 0; i < n; i++) allowed[i] = MAX_RESIDUAL * (least + DETAIL_SHARE * allowed[i]);
}

/* Whether the map has hardly a pixel far off the window's surface. */
FAST static int hardly_doubted(const Window *window)
{
    const int64_t n = pixels_of(window);
    const float *restrict distance = window->distance;
    int32_t others = 0;
    for (int64_t i = 0; i < n; i++) others += fabsf(distance[i]) > DOUBTED;
    return (float)others < FEW_OTHERS * (float)n;
}

/* Near pixels by residuals alone; those that the map has off the surface into `said`: how many. */
FAST static int judge_alike(const Window *window, uint8_t *restrict valid)
{
    const Memory *memory = window->memory;
    const int64_t n = pixels_of(window);
    const float *restrict energy = memory->energy, *restrict allowed = memory->allowed;
    const uint8_t *restrict near = memory->near, *restrict sure = window->near;
    uint8_t *restrict said = memory->said;
    int32_t doubted = 0;
    for (int64_t i = 0; i < n; i++) {
        valid[i] = near[i] & (energy[i] < allowed[i]);
        said[i] = valid[i] & !sure[i];
        doubted += said[i];
    }
    return doubted;
}

/* Whether the map's parallax explains those pixels, all together, clearly better. */
FAST static int map_wins(const Window *window)
{
    Memory *memory = window->memory;
    square_rest(window, memory->other);
    const int64_t size = window->placed.size, n = pixels_of(window);
    const uint8_t *restrict said = memory->said;
    double own = 0, other = 0;
    for (int64_t row = 0; row < n; row += size) {
        const float *restrict power = memory->power, *restrict product = memory->product;
        float here = 0, there = 0;
        #pragma omp simd reduction(+ : here, there)
        for (int64_t i = row; i < row + size; i++) {
            here += said[i] ? power[i] : 0;
            there += said[i] ? product[i] : 0;
        }
        own += here;
        other += there;
    }
    return other < BEATEN * own;
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

/* What both photos tell, and what they do of pixels that the map has elsewhere: whether any. */
FAST static int judge_shifts(const Window *window, uint8_t *restrict valid)
{
    slope_along(window);
    Memory *memory = window->memory;
    const int size = (int)window->placed.size;
    const int64_t n = pixels_of(window);
    const float *restrict slope = memory->slope;
    float *restrict product = memory->product;
    float *restrict information = memory->other, *restrict score = memory->mean;
    const float *restrict rest = memory->rest;
    const float *restrict energy = memory->energy, *restrict allowed = memory->allowed;
    const float *restrict away = window->away, *restrict distance = window->distance;
    const uint8_t *restrict near = memory->near, *restrict inside = memory->inside;
    uint8_t *restrict said = memory->said;
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
    power_left(window, window->memory->other);
    const float *restrict own = window->memory->own, *restrict other = window->memory->other;
    const uint8_t *restrict said = window->memory->said;
    const int64_t n = pixels_of(window);
    for (int64_t i = 0; i < n; i++) valid[i] |= said[i] & (own[i] < OVERRULED * other[i]);
}

/* Drops what a rival explains as well. */
FAST static void compete(const Window *window, uint8_t *restrict valid)
{
    power_left(window, window->memory->other);
    const float *restrict own = window->memory->own, *restrict other = window->memory->other;
    const float *restrict away = window->away;
    const int64_t n = pixels_of(window);
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

/* Both photos in the window; 0 where they show too little of its surface. */
static int show_both(Window *window, const double *place, int doubted)
{
    Memory *memory = window->memory;
    if (show_dslr(window, place, NULL, memory->luma)) return -1;
    const int near = count_near(window, doubted);
    if (near < LEAST_PIXELS) return 0;
    if (show_phone(window, memory->even)) return -1;
    weigh_light(window, near == pixels_of(window));
    centre(window, memory->even);
    centre(window, memory->luma);
    match_photos(window);
    allow(window);
    return 1;
}

/* 1 where a window whose parts lie together has been judged by residuals alone. */
static int judge_calm(Window *window, const double *place, uint8_t *valid)
{
    Memory *memory = window->memory;
    if (!window->calm || !hardly_doubted(window)) return 0;
    const int shown = show_both(window, place, 1);
    if (shown < 1) return shown;
    const int doubted = judge_alike(window, valid);
    if ((float)doubted < FEW_DOUBTED * (float)pixels_of(window)) return 1;
    if (show_dslr(window, place, memory->said, memory->other)) return -1;
    return !map_wins(window);
}

/* Valid pixels of a window. */
static int judge_window(Window *window, uint8_t *valid)
{
    Memory *memory = window->memory;
    const double *place = window->placed.places + PLACE * window->number;
    const int calm = judge_calm(window, place, valid);
    if (calm) return calm < 0 ? -1 : 0;
    memset(valid, 0, (size_t)pixels_of(window));
    const int shown = show_both(window, place, 0);
    if (shown < 1) return shown;
    const int any = judge_shifts(window, valid);
    mean_over(OWN, memory->power, (int)window->placed.size, memory, memory->own);
    if (any) {
        if (show_dslr(window, place, memory->said, memory->other)) return -1;
        overrule(window, valid);
    }
    double rivals[RIVALS][PLACE];
    const int found = any_contested(window, valid) ? find_rivals(window, rivals) : 0;
    for (int k = 0; k < found; k++) {
        if (show_dslr(window, rivals[k], NULL, memory->other)) return -1;
        compete(window, valid);
    }
    return 0;
}

/*
 * Valid pixels (count, size, size), 0 at first, of the windows `rows` of all `placed`, before
 * they are tidied. Photos are (height, width), the phone's of whole numbers; of the windows
 * asked for are distance, near and away (count, size, size) and direction (count, 2). `taps`
 * are a blur's middle one and those on one side. Returns -1 where memory lacks.
 */
int judge_windows(
    const uint8_t *phone, int64_t phone_height, int64_t phone_width, const uint16_t *dslr,
    int64_t height, int64_t width, const float *taps, const int32_t *corners,
    const double *places, int64_t placed, int64_t size, const uint8_t *calm,
    const int64_t *rows, int64_t count, const float *distance, const uint8_t *near,
    const float *away, const double *direction, uint8_t *valid)
{
    Memory memory;
    int failed = open_memory(&memory, size);
    for (int64_t k = 0, at = 0; k < count && !failed; k++, at += size * size) {
        Window window = {
            .phone = {phone, NULL, phone_height, phone_width}, .dslr = {NULL, dslr, height, width},
            .placed = {placed, size, corners, places}, .taps = taps, .number = rows[k],
            .calm = calm[rows[k]], .distance = distance + at, .away = away + at, .near = near + at,
            .direction = direction + 2 * k, .memory = &memory};
        failed = judge_window(&window, valid + at);
    }
    close_memory(&memory);
    return failed;
}
