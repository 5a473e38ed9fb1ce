/* HDF5's checksums: Fletcher's, over words of 16 bits, the first byte the higher one. */
#include <stdint.h>

#include "vectorised.h"

enum { BLOCK = 256 }; /* words whose weighted sum fits 32 bits */

PART uint32_t word(const uint8_t *data, int64_t number)
{
    return (uint32_t)(data[2 * number] << 8 | data[2 * number + 1]);
}

/* Modulo 65535, which only nothing but zeros makes 0. */
static int64_t folded(uint64_t sum)
{
    return sum ? (int64_t)((sum - 1) % 65535 + 1) : 0;
}

/* The checksum of each of `count` parts of `data`, of less than 40 MB. */
FAST int fletcher_sums(const uint8_t *restrict data, const int64_t *restrict starts, const int64_t *restrict lengths,
                       int64_t count, int64_t *restrict sums)
{
    for (int64_t k = 0; k < count; k++) {
        const uint8_t *restrict part = data + starts[k];
        const int64_t words = lengths[k] / 2, blocks = words / BLOCK;
        uint64_t sum = 0, sum_of_sums = 0;
        for (int64_t b = 0; b < blocks; b++, part += 2 * BLOCK) {
            uint32_t plain = 0, weighted = 0;
#pragma omp simd reduction(+ : plain, weighted)
            for (int i = 0; i < BLOCK; i++) {
                plain += word(part, i);
                weighted += (uint32_t)(BLOCK - i) * word(part, i);
            }
            sum_of_sums += BLOCK * sum + weighted;
            sum += plain;
        }
        for (int64_t i = 0; i < words - BLOCK * blocks; i++) sum_of_sums += sum += word(part, i);
        if (lengths[k] % 2) sum_of_sums += sum += (uint32_t)data[starts[k] + lengths[k] - 1] << 8;
        sums[k] = folded(sum_of_sums) << 16 | folded(sum);
    }
    return 0;
}
