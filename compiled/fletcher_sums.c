/* HDF5's checksums: Fletcher's, over words of 16 bits, the first byte the higher one. */
#include <stdint.h>
#include <string.h>

#include "vectorised.h"

enum { BLOCK = 256 }; /* words whose weighted sum fits 32 bits */

PART uint32_t word(const uint8_t *bytes)
{
    uint16_t found;
    memcpy(&found, bytes, 2);
    return found;
}

/* A sum of words in the machine's order modulo 65535, where bytes may change places; 0 is the sum of zeros alone. */
static int64_t folded(uint64_t sum)
{
    const uint16_t found = sum ? (uint16_t)((sum - 1) % 65535 + 1) : 0;
    uint8_t bytes[2];
    memcpy(bytes, &found, 2);
    return bytes[0] << 8 | bytes[1];
}

/* The checksum of each of `count` parts of `data`, of less than 40 MB. */
FAST int fletcher_sums(const uint8_t *restrict data, const int64_t *restrict starts, const int64_t *restrict lengths,
                       int64_t count, int64_t *restrict sums)
{
    for (int64_t k = 0; k < count; k++) {
        const uint8_t *restrict part = data + starts[k], *const end = part + lengths[k];
        uint64_t sum = 0, sum_of_sums = 0;
        for (; end - part >= 2 * BLOCK; part += 2 * BLOCK) {
            uint32_t plain = 0, weighted = 0;
#pragma omp simd reduction(+ : plain, weighted)
            for (int i = 0; i < BLOCK; i++) {
                plain += word(part + 2 * i);
                weighted += (uint32_t)(BLOCK - i) * word(part + 2 * i);
            }
            sum_of_sums += BLOCK * sum + weighted;
            sum += plain;
        }
        for (; end - part >= 2; part += 2) sum_of_sums += sum += word(part);
        if (part < end) sum_of_sums += sum += word((const uint8_t[]){*part, 0});
        sums[k] = folded(sum_of_sums) << 16 | folded(sum);
    }
    return 0;
}
