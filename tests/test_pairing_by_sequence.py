"""Two shooting sequences match by what they show, over gaps and bursts."""

from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest

from dped_build.align.pairing.by_sequence import pair_by_sequence
from dped_build.align.pairing.heaviest_chain import heaviest_chain
from dped_build.align.pairing.visual_words import (
    likeness,
    most_alike,
    sketch,
    vocabulary,
    word_counts,
)
from dped_build.align.settings import AlignSettings
from dped_build.selftest.simulated_cameras import PhoneLook, Rig, photograph
from dped_build.workspace.errors import DpedBuildError

RIG = Rig((192, 144), (264, 176), distortion=(0.0, 0.0))
SCENES = 9


@pytest.fixture(scope="module")
def shots(textured):
    """Sketches of the phone's and the DSLR's photo of each scene, and one of a burst.

    The burst's phone photos of a scene are turned a little more, or blurred.
    """
    found = {}
    for scene in range(SCENES):
        picture = textured(scene, (396, 264))
        phone, dslr = photograph(picture, RIG, PhoneLook(), seed=scene)
        turned = replace(RIG, turn_deg=(0.5, 0.3, 0.4))
        other, _ = photograph(picture, turned, PhoneLook(blur_px=1.5), seed=scene)
        found[scene] = sketch(phone), sketch(dslr), sketch(other)
    return found


def sequences(shots, phone, dslr):
    """Sketches by file name; `phone` and `dslr` list scenes, 3.5 is a worse 3."""
    return (
        {
            Path(f"P{n}-{s}.jpg"): None if s is None else shots[int(s)][2 * (s % 1 > 0)]
            for n, s in enumerate(phone)
        },
        {
            Path(f"D{n}-{s}.jpg"): None if s is None else shots[s][1]
            for n, s in enumerate(dslr)
        },
    )


def paired(shots, phone, dslr):
    found, came_to = pair_by_sequence(
        *sequences(shots, phone, dslr), settings=AlignSettings(), jobs=2
    )
    matched = {
        p.phone.stem.split("-")[1]: p.dslr.stem.split("-")[1]
        for p in found
        if p.reason is None
    }
    left = {
        photo.name: pair.message
        for pair in found
        if pair.reason
        for _, photo in pair.photos()
    }
    assert sum(1 for pair in found for _ in pair.photos()) == len(phone) + len(dslr)
    assert len(matched) == came_to.matches + came_to.by_place
    return matched, left


def test_gaps_on_either_side_leave_photos_over(shots):
    matched, left = paired(shots, (0, 1, 2, 5, 6, 8), (1, 2, 3, 4, 5, 6, 7, 8))
    assert matched == {scene: scene for scene in "12568"}
    assert left == {
        "P0-0.jpg": "P0-0.jpg: no DSLR photo shows the same scene",
        "D2-3.jpg": "D2-3.jpg: no phone photo shows the same scene",
        "D3-4.jpg": "D3-4.jpg: no phone photo shows the same scene",
        "D6-7.jpg": "D6-7.jpg: no phone photo shows the same scene",
    }


def test_of_a_burst_the_best_photo_is_paired(shots):
    matched, left = paired(shots, (0, 1.5, 1, 1.5, 2, 2.5, 4), (0, 1, 2, 4))
    assert matched == {scene: scene for scene in "0124"}
    assert set(left) == {"P1-1.5.jpg", "P3-1.5.jpg", "P5-2.5.jpg"}
    told = "P1-1.5.jpg: shows the same scene as D1-1.jpg, which goes with P2-1.jpg"
    assert left["P1-1.5.jpg"] == told


def test_what_crosses_is_left_over(shots):
    matched, left = paired(shots, (0, 1, 2, 3, 4), (4, 0, 1, 2, 3))
    assert matched == {scene: scene for scene in "0123"}
    assert left["P4-4.jpg"].endswith("D0-4.jpg, but out of sequence")


def test_an_unreadable_photo_between_matches_is_paired_by_place(shots):
    matched, left = paired(shots, (0, 1, None, 3, 4), (0, 1, 2, 3, 4))
    assert matched["None"] == "2"
    assert not left


def test_folders_of_other_scenes_are_refused(shots):
    with pytest.raises(DpedBuildError, match=r"only 0 of 4 photos match.*--pairs CSV"):
        paired(shots, (0, 1, 2, 3), (4, 5, 6, 7))
    with pytest.raises(DpedBuildError, match="only 0 of 1 photos"):
        paired(shots, (None,), (4,))


def test_words_find_the_scene_among_all(shots):
    phones, dslrs = ([shot[side] for shot in shots.values()] for side in (0, 1))
    words = vocabulary(dslrs)
    counts = [
        np.stack([word_counts(one, words) for one in side]) for side in (phones, dslrs)
    ]
    assert counts[0].sum() == sum(len(one.descriptors) for one in phones)
    best = most_alike(counts[0], counts[1], 3)
    assert best.shape == (SCENES, 3)
    hits = sum(scene in row for scene, row in enumerate(best))
    assert hits >= SCENES - 1


def test_unrelated_sketches_are_not_alike_and_related_ones_are(shots):
    settings = AlignSettings()
    for one, other in combinations(shots, 2):
        assert likeness(shots[one][0], shots[other][1], settings) == 0
    alike = [likeness(phone, dslr, settings) for phone, dslr, _ in shots.values()]
    worse = [likeness(blurred, dslr, settings) for _, dslr, blurred in shots.values()]
    assert sum(inliers > 0 for inliers in alike) >= SCENES - 1  # they are tiny
    assert sum(alike) > sum(worse) > 0


def test_a_featureless_photo_is_like_nothing(shots):
    empty = sketch(np.full((100, 150, 3), 128, np.uint8))
    assert len(empty.descriptors) == 0
    assert likeness(empty, shots[0][1], AlignSettings()) == 0


def chain_by_trying(matches):
    """The largest weight of a chain, by trying all sets."""
    best = 0
    for count in range(len(matches) + 1):
        for chosen in combinations(sorted(matches), count):
            rising = all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(chosen))
            best = max(best, sum(w for *_, w in chosen) if rising else 0)
    return best


@pytest.mark.parametrize("seed", range(30))
def test_the_chain_is_the_heaviest(seed):
    rng = np.random.default_rng(seed)
    places = {tuple(place) for place in rng.integers(0, 5, (10, 2)).tolist()}
    matches = [(i, j, float(rng.integers(1, 9))) for i, j in places]
    chain = heaviest_chain(matches)
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(chain))
    assert set(chain) <= set(matches)
    assert sum(w for *_, w in chain) == chain_by_trying(matches)


def test_no_matches_make_no_chain():
    assert heaviest_chain([]) == []
