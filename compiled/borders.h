#ifndef BORDERS_H
#define BORDERS_H

/* Where a row or column beyond the border is mirrored; the outermost one is not repeated. */
static inline int reflected(int at, int length)
{
    while (length > 1 && (at < 0 || at >= length)) at = at < 0 ? -at : 2 * (length - 1) - at;
    return length > 1 ? at : 0;
}

#endif
