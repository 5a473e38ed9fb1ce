"""Capture times give the pairs, whatever the clocks say."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from dped_build.align.pairing.by_time import (
    estimate_clock_offset,
    match_nearest,
    pair_by_time,
    told_offset,
)
from dped_build.photos.capture_time import Taken, on_one_clock
from dped_build.workspace.errors import DpedBuildError

MORNING = datetime(2024, 6, 1, 8)


def shoot(seed, scenes, *, offset_s, missing=0.1, bursts=0.1):
    """Times of both cameras as EXIF holds them, and the scene of every photo.

    Scenes are some 4 to 60 s apart; either camera misses some and takes three photos
    of others; the DSLR is late or early by half a second.
    """
    rng = np.random.default_rng(seed)
    sides, scene_of = ({}, {}), ({}, {})
    for scene, start in enumerate(np.cumsum(rng.exponential(20, scenes) + 4)):
        for camera, head in enumerate(("IMG", "DSC")):
            if rng.random() < missing:
                continue
            for shot in range(3 if rng.random() < bursts else 1):
                photo = Path(f"{head}_{len(sides[camera]):04d}.jpg")
                late = offset_s + rng.normal(0, 0.5) if camera else 0
                taken = MORNING + timedelta(seconds=float(start + shot + late) // 1)
                sides[camera][photo], scene_of[camera][photo] = taken, scene
    return *sides, *scene_of


@pytest.mark.parametrize("offset_s", [0.4, -25_189.3, 3600.0, 4e8])
@pytest.mark.parametrize("scenes", [12, 300])
def test_pairs_and_offset_of_a_shoot_are_found(scenes, offset_s):
    phone, dslr, phone_scene, dslr_scene = shoot(scenes, scenes, offset_s=offset_s)
    pairs, offset = pair_by_time(phone, dslr, tolerance_s=2.0)
    assert offset.seconds == pytest.approx(offset_s, abs=1.01)  # whole seconds
    matched = [pair for pair in pairs if pair.reason is None]
    right = sum(phone_scene[p.phone] == dslr_scene[p.dslr] for p in matched)
    common = {*phone_scene.values()} & {*dslr_scene.values()}
    assert right >= 0.98 * len(matched)
    assert len(matched) >= 0.97 * len(common)
    seen = [photo for pair in pairs for _, photo in pair.photos()]
    assert sorted(seen) == sorted([*phone, *dslr])
    assert offset.matches == len(matched)


def test_six_thousand_pairs_take_seconds():
    phone, dslr, *_ = shoot(1, 6000, offset_s=5000)
    _, offset = pair_by_time(phone, dslr, tolerance_s=2.0)
    assert offset.matches > 4700


def test_even_intervals_are_refused_and_a_given_offset_settles_them():
    phone = {Path(f"p{i}.jpg"): MORNING + timedelta(seconds=10 * i) for i in range(20)}
    dslr = {
        Path(f"d{i}.jpg"): MORNING + timedelta(seconds=10 * i + 95) for i in range(20)
    }
    with pytest.raises(DpedBuildError, match=r"too even.*--pair-by sequence.*--clock-"):
        pair_by_time(phone, dslr, tolerance_s=2.0)
    pairs, offset = pair_by_time(phone, dslr, tolerance_s=2.0, offset_s=95)
    assert (offset.matches, offset.second_best) == (20, 0)
    assert all(pair.name[1:] == pair.dslr.stem[1:] for pair in pairs)


def test_few_or_unrelated_photos_are_refused():
    phone, dslr, *_ = shoot(2, 3, offset_s=9, missing=0, bursts=0)
    with pytest.raises(DpedBuildError, match="no clock offset pairs more than 3 of 3"):
        pair_by_time(phone, dslr, tolerance_s=2.0)
    phone, _, *_ = shoot(3, 200, offset_s=9)
    _, dslr, *_ = shoot(4, 200, offset_s=9)
    with pytest.raises(DpedBuildError, match="--clock-offset SECONDS"):
        pair_by_time(phone, dslr, tolerance_s=2.0)


def test_photos_without_a_time_or_a_partner_say_so():
    phone, dslr, *_ = shoot(5, 30, offset_s=7260, missing=0, bursts=0)
    first, second = list(phone)[:2]
    del dslr[Path("DSC_0001.jpg")]
    phone[first] = None
    pairs, _ = pair_by_time(phone, dslr, tolerance_s=2.0)
    told = {pair.name: pair.message for pair in pairs if pair.reason == "no_partner"}
    assert told[first.stem] == "IMG_0000.jpg: no capture time (EXIF)"
    assert (
        "no DSLR photo left within 2 s (DSLR clock minus phone clock 2:01:00"
        in told[second.stem]
    )
    assert "no phone photo left" in told["DSC_0000.jpg (DSLR)"]
    with pytest.raises(DpedBuildError, match="no DSLR photo has a capture time"):
        pair_by_time(phone, dict.fromkeys(dslr), tolerance_s=2.0)


def test_matches_are_one_to_one_and_the_nearest_go_first():
    phone, dslr = np.array([10.0, 11.0, 50.0]), np.array([61.2, 111.0, 100.0])
    matches = match_nearest(phone, dslr, offset_s=50, tolerance_s=2.0)
    assert matches.tolist() == [[1, 0], [2, 2]]
    back = match_nearest(dslr, phone, offset_s=-50, tolerance_s=2.0)
    assert back.tolist() == [[0, 1], [2, 2]]
    assert len(match_nearest(phone, dslr[:0], offset_s=0, tolerance_s=2)) == 0


def test_an_offset_is_refined_below_the_tolerance():
    phone = np.cumsum(np.random.default_rng(0).exponential(30, 50))
    found = estimate_clock_offset(phone, phone + 12.345, tolerance_s=2.0)
    assert found.seconds == pytest.approx(12.345, abs=1e-3)
    assert found.matches == 50


def test_offsets_are_told_as_people_read_them():
    told = [told_offset(s) for s in (-0.5, 12, 90, -3723.4)]
    assert told == ["-0.5 s", "12 s", "0:01:30", "-1:02:03"]


def jumped(phone, jump_s, after):
    """A camera's clock set anew after so many photos."""
    moved = timedelta(seconds=jump_s)
    return {p: t + moved * (n >= after) for n, (p, t) in enumerate(phone.items())}


@pytest.mark.parametrize("jump_s", [3600, -3600, 19_800, -36_000])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_clock_that_was_set_anew_has_two_offsets(jump_s, share):
    phone, dslr, phone_scene, dslr_scene = shoot(7, 60, offset_s=1234.0)
    after = int(share * len(phone))
    pairs, offset = pair_by_time(jumped(phone, jump_s, after), dslr, tolerance_s=2.0)
    assert len(offset.jumps) == 1
    first, second = sorted(each.seconds for each in offset.all)
    assert [first, second] == pytest.approx(sorted([1234, 1234 - jump_s]), abs=1.01)
    matched = [pair for pair in pairs if pair.reason is None]
    right = sum(phone_scene[p.phone] == dslr_scene[p.dslr] for p in matched)
    assert right >= 0.97 * len(matched)
    common = {*phone_scene.values()} & {*dslr_scene.values()}
    assert len(matched) >= 0.95 * len(common)
    assert len({p.dslr for p in matched}) == len(matched)
    left = [pair.message for pair in pairs if pair.reason]
    assert any(f"({'DSLR clock minus phone clock'} {offset.told()})" in m for m in left)


@pytest.mark.parametrize("back", ["phone", "dslr"])
def test_a_clock_may_be_set_back_and_the_jump_may_be_short_in_a_long_shoot(back):
    """Photos of the hour that counts twice fit both offsets by chance."""
    phone, dslr, phone_scene, dslr_scene = shoot(3, 500, offset_s=1234.0)
    phone = jumped(phone, 3600, 150)
    if back == "phone":
        phone = jumped(phone, -3600, 300)
    else:
        dslr = jumped(dslr, 3600, 300)
    pairs, offset = pair_by_time(phone, dslr, tolerance_s=2.0)
    found = [each.seconds for each in offset.all]
    assert found == pytest.approx([1234, 1234 - 3600], abs=1.01)
    matched = [pair for pair in pairs if pair.reason is None]
    assert sum(each.matches for each in offset.all) == len(matched)
    right = sum(phone_scene[p.phone] == dslr_scene[p.dslr] for p in matched)
    assert right >= 0.96 * len(matched)
    common = {*phone_scene.values()} & {*dslr_scene.values()}
    assert len(matched) >= 0.95 * len(common)


def test_what_no_clock_can_do_is_no_jump():
    """Another offset by chance, one that is no quarter of an hour, one in between."""
    phone, dslr, *_ = shoot(8, 60, offset_s=50.0)
    _, plain = pair_by_time(phone, dslr, tolerance_s=2.0)
    _, odd = pair_by_time(jumped(phone, 500, 50), dslr, tolerance_s=2.0)
    mixed = {
        p: t + timedelta(minutes=15 * (n % 4 == 0 and n < 30))
        for n, (p, t) in enumerate(phone.items())
    }
    _, between = pair_by_time(mixed, dslr, tolerance_s=2.0)
    assert plain.jumps == odd.jumps == between.jumps == ()


def test_even_intervals_name_both_offsets():
    phone = {Path(f"p{i}.jpg"): MORNING + timedelta(seconds=900 * i) for i in range(20)}
    with pytest.raises(DpedBuildError, match=r"offset of .* s pairs .* one of -?\d+ s"):
        pair_by_time(phone, phone, tolerance_s=2.0)


def test_stated_zones_put_the_times_on_one_clock():
    summer, winter = timedelta(hours=2), timedelta(hours=1)
    at = [MORNING + timedelta(minutes=minutes) for minutes in (0, 10, 20, 30)]
    shot = [
        Taken(at[0], "original", summer),
        None,
        Taken(at[1], "original"),
        Taken(at[2] - timedelta(hours=1), "original", winter),
        Taken(at[3] - timedelta(hours=1), "original", winter),
    ]
    assert on_one_clock(shot) == [at[0], None, at[1], at[2], at[3]]
    same = [Taken(time, "original", winter) for time in at]
    assert on_one_clock(same) == at
