#ifndef WINDOWS_H
#define WINDOWS_H

/* Windows as both photos show them, and their memory. */
#include <stdint.h>

#include "vectorised.h"

enum { PLACE = 6 }; /* numbers: a shift, and how it grows to the borders */

/* Luma in grey levels, or in parts of them. */
typedef struct {
    const uint8_t *grey;
    const uint16_t *fine;
    int64_t height, width;
} Photo;

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
    float *line, *threes, *part; /* rows; a part of a photo */
    double *columns;
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
    float gain, typical; /* of the DSLR; energy of residuals */
    Memory *memory;
} Window;

PART int64_t pixels_of(const Window *window)
{
    return window->placed.size * window->placed.size;
}

/* The phone's luma, blurred. Returns -1 where memory lacks. */
int show_phone(const Window *window, float *found);

/* The DSLR's at a place; those said to be elsewhere are shown by their own parallax. */
int show_dslr(const Window *window, const double place[PLACE], const uint8_t *said, float *found);

/* Means over squares of odd sides; beyond the window its pixels are mirrored, so it must be
 * wider than half a square. */
void mean_over(int side, const float *values, int size, Memory *memory, float *restrict found);

/* Returns -1 where memory lacks; to be closed in any case. */
int open_memory(Memory *memory, int64_t size);
void close_memory(Memory *memory);

#endif
