"""Parts of a window that lie apart, judged by blocks whose evidence is known."""

from dataclasses import replace

import numpy as np
import pytest

from dped_build.patches.refinement.blocks import (
    BEYOND_PX,
    part_displacements,
    part_shares,
    worst_part,
)
from dped_build.patches.refinement.likelihood import no_evidence

SMOOTH = np.full(1, 0.05)  # px; neighbours that hardly differ


def window(deviation_px, moved_block_px=0.0):
    """One window whose blocks know their shifts so well; four of them moved."""
    block = np.eye(2) / deviation_px**2 / 4  # four blocks make a part
    info = np.broadcast_to(block, (1, 25, 2, 2)).copy()
    score = np.zeros((1, 25, 2))
    for block in (6, 7, 11, 12):
        score[0, block] = info[0, block] @ (moved_block_px, 0)
    return replace(no_evidence(1), block_info=info, block_score=score)


def worst(evidence, around=SMOOTH):
    return worst_part(part_displacements(evidence, around, SMOOTH), evidence)[0]


def test_a_part_that_certainly_lies_apart_counts_in_full_whatever_the_neighbours():
    assert worst(window(0.1, moved_block_px=1.0)) == pytest.approx(1.0, abs=0.05)


def test_a_part_that_knows_little_is_held_by_the_neighbours():
    assert worst(window(0.6, moved_block_px=1.0)) < 0.1


def test_parts_that_agree_leave_what_neighbours_differ_by():
    assert worst(window(0.02)) < 0.03
    assert worst(window(5.0), around=np.full(1, 3.0)) > 0.5


def test_a_block_that_no_shift_explains_lies_beyond():
    torn = window(0.1)
    torn.contradicted[0, 3] = True
    assert worst(torn) == BEYOND_PX


def test_only_parts_that_count_are_asked():
    moved = window(0.1, moved_block_px=1.0)
    moved.contradicted[0, 0] = True
    displacements = part_displacements(moved, SMOOTH, SMOOTH)
    counted = np.ones((1, 16), bool)
    assert worst_part(displacements, moved, counted)[0] == pytest.approx(1, abs=0.05)
    counted[0, [0, 1, 2, 4, 5, 6, 8, 9, 10]] = False  # those with a moved block
    assert worst_part(displacements, moved, counted)[0] < 0.1
    assert worst_part(displacements, moved, ~counted & False)[0] == 0


def test_the_share_of_a_part_is_that_of_its_blocks():
    counted = np.zeros((1, 50, 50), bool)
    counted[0, :20, :10] = True  # two of the first part's four blocks
    shares = part_shares(counted)
    assert shares.shape == (1, 16)
    assert shares[0, 0] == 0.5
    assert shares[0, 1] == 0
    assert shares[0, 4] == 0.25
