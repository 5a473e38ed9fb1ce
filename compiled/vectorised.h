#ifndef VECTORISED_H
#define VECTORISED_H

#include <stdint.h>

/* FAST functions are compiled for several processors; the best is taken at start. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define FAST __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FAST
#endif

/* What they call must be a part of them, or it is compiled for the oldest processor. */
#if defined(__GNUC__)
#define PART static inline __attribute__((always_inline))
#else
#define PART static inline
#endif

enum { LANES = 16 }; /* floats that the widest vectors hold */

/* The first place, less than LANES floats further, from which vectors cross no line of the cache. */
static inline float *on_vector(float *memory)
{
    const uintptr_t size = LANES * sizeof(float), beyond = (uintptr_t)memory % size;
    return beyond ? memory + (size - beyond) / sizeof(float) : memory;
}

#endif
