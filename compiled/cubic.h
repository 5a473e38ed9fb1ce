#ifndef CUBIC_H
#define CUBIC_H

#include "vectorised.h"

static const float CUBIC_A = -0.75f; /* the parameter of OpenCV's cubic kernel */

/* Weight of a pixel so far away: 0 to 1 px. */
PART float cubic_near(float way)
{
    return ((CUBIC_A + 2) * way - (CUBIC_A + 3)) * way * way + 1;
}

/* ... 1 to 2 px. */
PART float cubic_far(float way)
{
    return ((CUBIC_A * way - 5 * CUBIC_A) * way + 8 * CUBIC_A) * way - 4 * CUBIC_A;
}

#endif
