"""Masks come back from their bits, whatever the size."""

import numpy as np
import pytest

from dped_build.patches.masks import packed, packed_length, unpacked, whole_masks


@pytest.mark.parametrize("size", [16, 17, 100])
def test_masks_come_back_from_their_bits(size):
    valid = np.random.default_rng(0).random((5, size, size)) < 0.5
    bits = packed(valid)
    assert (bits.dtype, bits.shape) == (np.uint8, (5, packed_length(size)))
    assert packed_length(size) == -(-size * size // 8)
    np.testing.assert_array_equal(unpacked(bits, size), valid)


def test_no_masks_are_no_bits():
    none = whole_masks(0, 20)
    assert packed(none).shape == (0, packed_length(20))
    assert unpacked(packed(none), 20).shape == (0, 20, 20)
