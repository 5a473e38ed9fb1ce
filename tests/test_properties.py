"""What must hold for any input: pure functions and files read back as written."""

import csv
import io
import json
import math
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cmp_to_key
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dped_build.align.aligned_folder import parse_records
from dped_build.align.geometry import (
    apply_homography,
    corners,
    largest_box,
    local_jacobian,
    overlap_share,
    rescaling,
    visible_rows,
)
from dped_build.align.pairing.by_name import pair_by_name
from dped_build.align.records import REASONS as PAIR_REASONS
from dped_build.align.records import Alignment
from dped_build.patches.exclusions import read_excluded_lines
from dped_build.patches.grid import grid_windows
from dped_build.patches.quality import (
    clipped_share,
    color_fit_psnr,
    lumas,
    normalised_cross_correlation,
    sharpness_ratio,
)
from dped_build.patches.records import REASONS, empty_windows
from dped_build.patches.selection import select_windows, spread_out
from dped_build.patches.settings import PatchSettings
from dped_build.patches.shards import plan_shards
from dped_build.patches.split import extend_split, parse_split, split_bytes
from dped_build.photos.reading import is_plain_text, printable
from dped_build.report.exposure import tone_difference
from dped_build.report.script_data import script_json
from dped_build.report.statistics import histogram
from dped_build.train.enhancing.inference import cut
from dped_build.workspace.json_files import json_bytes
from dped_build.workspace.stage import read_sums, sha256, write_sums
from dped_build.workspace.text import natural_key

settings.register_profile(
    "suite",
    deadline=None,
    max_examples=60,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("suite")

NOON = datetime(2024, 6, 1, 12)
SIZES = st.tuples(st.integers(1, 60), st.integers(1, 60))
PLAIN = st.characters(
    exclude_categories=("Cs", "Cc", "Zl", "Zp"), exclude_characters="/"
)
STEMS = st.text(PLAIN, min_size=1, max_size=20).filter(
    lambda name: name == name.strip("."),
)
NASTY = st.text(min_size=1, max_size=20)  # any code points, lone surrogates aside
BYTES = st.binary(min_size=1, max_size=12).map(lambda b: b.replace(b"/", b"_"))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(max_size=20)
    # What no number can be is no JSON.
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=12,
)
LUMA = hnp.arrays(np.uint8, (1, 12, 12))
PLACES = [(100 * x, 100 * y) for x in range(4) for y in range(3)]
PATCHES = hnp.arrays(np.uint8, (1, 8, 8, 3))


@st.composite
def homographies(draw):
    """Turn, scale, shift and tilt of views that two cameras can have of a scene."""
    angle = draw(st.floats(-math.pi, math.pi))
    across, down = draw(st.floats(0.3, 3)), draw(st.floats(0.3, 3))
    cos, sin = math.cos(angle), math.sin(angle)
    matrix = np.array([[cos * across, -sin * down, 0], [sin * across, cos * down, 0]])
    matrix[:, 2] = draw(st.floats(-40, 40)), draw(st.floats(-40, 40))
    tilt = [draw(st.floats(-3e-3, 3e-3)), draw(st.floats(-3e-3, 3e-3)), 1]
    return np.vstack([matrix, tilt])


def inside(rows, size):
    """(height, width): the pixels that `rows` names."""
    x = np.arange(size[0])
    return (x >= rows[:, :1]) & (x <= rows[:, 1:])


# geometry


@given(homographies(), hnp.arrays(float, (5, 2), elements=st.floats(0, 60)))
def test_the_inverse_homography_leads_back(matrix, points):
    mapped = apply_homography(matrix, points)
    seen = np.isfinite(mapped).all(axis=1)
    assume(seen.any() and abs(np.linalg.det(matrix)) > 1e-2)
    back = apply_homography(np.linalg.inv(matrix), mapped[seen])
    there = np.isfinite(back).all(axis=1)  # a negative scale turns the sign of w
    np.testing.assert_allclose(back[there], points[seen][there], atol=1e-6)
    assert there.all() == (np.linalg.det(matrix) > 0) or there.all()


@given(homographies(), st.tuples(st.floats(0, 60), st.floats(0, 60)))
def test_the_jacobian_is_what_a_small_step_does(matrix, point):
    step = 1e-6
    around = np.array([point, (point[0] + step, point[1]), (point[0], point[1] + step)])
    mapped = apply_homography(matrix, around)
    assume(np.isfinite(mapped).all())
    numerical = ((mapped[1:] - mapped[0]) / step).T
    found = local_jacobian(matrix, point)
    np.testing.assert_allclose(found, numerical, atol=1e-3 * (1 + np.abs(found).max()))


@given(st.floats(0.01, 100), hnp.arrays(float, (4, 2), elements=st.floats(-1e4, 1e4)))
def test_rescaling_there_and_back_changes_nothing(scale, points):
    there = apply_homography(rescaling(scale), points)
    back = apply_homography(rescaling(1 / scale), there)
    np.testing.assert_allclose(back, points, atol=1e-7)


@given(SIZES)
def test_corners_are_the_outer_pixels(size):
    found = corners(size)
    assert found.min() == 0
    assert found.max(axis=0).tolist() == [size[0] - 1, size[1] - 1]


@given(homographies(), SIZES, SIZES)
def test_the_largest_box_lies_inside_the_overlap(matrix, size, target):
    rows = visible_rows(matrix, size, target)
    mask = inside(rows, size)
    assert overlap_share(rows, size) == pytest.approx(mask.mean())
    box = largest_box(rows)
    if box is None:
        assert not mask.any()
        return
    left, top, width, height = box
    assert width >= 1 and height >= 1
    shown = mask[top : top + height, left : left + width]
    assert shown.shape == (height, width) and shown.all()
    assert width * height >= mask.sum(axis=1).max()  # one row is a box as well


# windows and shards


@given(homographies(), SIZES, SIZES, st.integers(3, 20))
def test_windows_lie_inside_apart_and_on_one_grid(matrix, size, target, side):
    rows = visible_rows(matrix, size, target)
    windows = grid_windows(rows, side)
    covered = np.zeros(size[::-1], int)
    for x, y in windows:
        covered[y : y + side, x : x + side] += 1
    assert covered.sum() == len(windows) * side**2
    assert covered.max(initial=0) <= 1
    assert inside(rows, size)[covered > 0].all()
    assert len(np.unique(windows % side, axis=0)) <= 1


@given(st.dictionaries(STEMS, st.integers(0, 30), max_size=12), st.integers(1, 20))
def test_every_patch_goes_into_exactly_one_shard(counts, limit):
    shards = plan_shards(counts, limit)
    placed = {pair: [] for pair in counts}
    for shard in shards:
        assert 1 <= sum(part.stop - part.start for part in shard.values()) <= limit
        for pair, part in shard.items():
            placed[pair] += range(part.start, part.stop)
    assert placed == {pair: list(range(count)) for pair, count in counts.items()}
    order = [pair for shard in shards for pair in shard]
    assert list(dict.fromkeys(order)) == [pair for pair, n in counts.items() if n]
    for pair, count in counts.items():
        if count <= limit:
            assert order.count(pair) == (count > 0)


@st.composite
def measured(draw):
    """A table of windows with any measurements, NaN included."""
    count = draw(st.integers(0, 12))
    numbers = st.floats(-2, 50, width=32) | st.just(math.nan)
    column = hnp.arrays(np.float32, count, elements=numbers)
    names = ("rotation_deg", "sigma_px", "depth_px", "sharpness_ratio")
    table = empty_windows(count)
    ncc = st.floats(-1, 1, width=32) | st.just(math.nan)
    return replace(
        table,
        window_xy=np.array(draw(st.permutations(PLACES))[:count], np.int32).reshape(
            -1, 2
        ),
        ncc=draw(hnp.arrays(np.float32, count, elements=ncc)),
        patch_to_dslr=np.tile(np.eye(3), (count, 1, 1)),
        shift_px=np.stack([draw(column), draw(column)], axis=1),
        **{name: draw(column) for name in names},
    )


@given(measured(), st.floats(-1, 1), st.floats(-1, 1), st.integers(0, 5))
def test_a_stricter_threshold_never_accepts_more(windows, one, other, most):
    low, high = sorted((one, other))
    chosen = {}
    for threshold in (low, high):
        options = PatchSettings(min_corr=threshold)
        chosen[threshold] = select_windows(windows, options) == "accepted"
        limited = select_windows(windows, replace(options, max_per_photo=most))
        assert {*limited} <= {*REASONS}
        kept = int(chosen[threshold].sum())
        assert (limited == "accepted").sum() == (min(kept, most) if most else kept)
        assert chosen[threshold][limited == "accepted"].all()
    assert not (chosen[high] & ~chosen[low]).any()
    assert (windows.ncc[chosen[low]] > low).all()


@given(st.permutations(PLACES), st.integers(1, len(PLACES)), st.integers(1, 20))
def test_points_spread_out_are_distinct_rows(places, number, count):
    points = np.array(places[:number], np.int32)
    chosen = spread_out(points, count)
    assert len(chosen) == min(count, len(points))
    assert (np.diff(chosen) > 0).all()


# names and splits


@given(st.lists(NASTY, max_size=8, unique=True))
def test_natural_order_is_total_and_keeps_names_apart(names):
    keys = [natural_key(name) for name in names]
    assert len(set(keys)) == len(names)
    ordered = sorted(names, key=natural_key)
    assert sorted(dict.fromkeys(names[::-1]), key=natural_key) == ordered

    def compare(a, b):
        a, b = natural_key(a), natural_key(b)
        return (a > b) - (a < b)

    assert sorted(names, key=cmp_to_key(compare)) == ordered


@given(st.text(max_size=5), st.integers(0, 10**30), st.integers(0, 10**30))
def test_numbers_in_names_count_by_value(prefix, one, other):
    assume(one != other and not prefix[-1:].isdigit())
    low, high = sorted((one, other))
    assert natural_key(f"{prefix}{low}") < natural_key(f"{prefix}{high}")


@given(BYTES)
def test_any_file_name_can_be_printed(name):
    text = name.decode("utf-8", "surrogateescape")
    shown = printable(text)
    assert shown.encode() and is_plain_text(shown)
    assert (shown == text) == is_plain_text(text)


@given(st.lists(BYTES, max_size=8), st.lists(BYTES, max_size=8), st.data())
def test_every_photo_is_in_one_pair_and_names_of_pairs_are_unique(one, other, data):
    suffixes = st.sampled_from([".jpg", ".JPG", ".png"])
    sides = []
    for stems in (one, other):
        names = {
            n.decode("utf-8", "surrogateescape") + data.draw(suffixes) for n in stems
        }
        sides.append([Path("folder", name) for name in sorted(names)])
    pairs = pair_by_name(*sides)
    assert len({pair.name for pair in pairs}) == len(pairs)
    for side, photos in zip(("phone", "dslr"), sides, strict=True):
        found = [getattr(p, side).name for p in pairs if getattr(p, side)]
        assert sorted(found) == sorted(printable(path.name) for path in photos)
    for pair in pairs:
        assert is_plain_text(pair.name)
        assert pair.reason is None or pair.reason in PAIR_REASONS
        assert pair.reason is not None or {pair.phone, pair.dslr} <= {
            *sides[0],
            *sides[1],
        }


@given(
    st.lists(STEMS, max_size=30, unique=True),
    st.data(),
    st.integers(0, 30),
    *[st.none() | st.integers(0, 8)] * 2,
    st.integers(0, 9),
)
def test_a_split_that_grows_moves_nobody(pairs, data, known, test, val, seed):
    seconds = st.none() | st.integers(0, 900)
    times = {
        pair: None if (s := data.draw(seconds)) is None else NOON + timedelta(seconds=s)
        for pair in pairs
    }
    options = {"test": test, "val": val, "seed": seed}
    before = extend_split([], pairs[:known], times, **options)
    after = extend_split(before, pairs, times, **options)
    assert after[: len(before)] == before
    assert [row.pair for row in after] == pairs
    splits = {}
    for row in after:
        assert splits.setdefault(row.group, row.split) == row.split
    assert extend_split(after, pairs, times, **options) == after
    assert parse_split(split_bytes(after).decode()) == after
    drawn = list(splits.values())
    if test is not None:
        assert drawn.count("test") <= max(test, 0) or known
    if test is None and len(drawn) >= 3 and known == 0:
        assert drawn.count("test") == max(1, len(drawn) // 10)


# pixels


@given(LUMA, LUMA)
def test_ncc_is_symmetric_and_at_most_one(one, other):
    (found,) = normalised_cross_correlation(one, other)
    (mirrored,) = normalised_cross_correlation(other, one)
    assert found == mirrored or (math.isnan(found) and math.isnan(mirrored))
    assert math.isnan(found) == (np.ptp(one) == 0 or np.ptp(other) == 0)
    assert math.isnan(found) or -1 - 1e-12 <= found <= 1 + 1e-12


@given(LUMA, LUMA, st.integers(1, 3), st.integers(0, 60))
def test_ncc_knows_neither_exposure_nor_offset(one, other, gain, offset):
    one, other = one // 4, other // 4  # 0 to 63, so that nothing clips
    changed = (one * gain + offset).astype(np.uint8)
    (found,) = normalised_cross_correlation(changed, other)
    (expected,) = normalised_cross_correlation(one, other)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    (negative,) = normalised_cross_correlation(255 - one, other)
    np.testing.assert_allclose(negative, -expected, atol=1e-12)


@given(PATCHES, PATCHES)
def test_figures_of_patches_stay_in_their_ranges(phone, dslr):
    (fit,) = color_fit_psnr(phone, dslr)
    assert 0 <= fit <= 100
    np.testing.assert_allclose(color_fit_psnr(phone, phone), 100)
    assert 0 <= clipped_share(phone)[0] <= 1
    luma = lumas(phone)
    (ratio,) = sharpness_ratio(luma, luma)
    assert math.isnan(ratio) or ratio == pytest.approx(1)


@given(hnp.arrays(np.uint8, (9, 9, 3)), hnp.arrays(np.uint8, (9, 9, 3)))
def test_tone_changes_sign_with_the_order_of_the_photos(phone, dslr):
    there, back = tone_difference(phone, dslr), tone_difference(dslr, phone)
    assert (there.exposure_ev is None) == (back.exposure_ev is None)
    if there.exposure_ev is not None:
        assert there.exposure_ev == pytest.approx(-back.exposure_ev, abs=2e-3)
        assert there.color_ev == pytest.approx(back.color_ev, abs=2e-3)
    same = tone_difference(phone, phone)
    assert same.exposure_ev in (0, None) and same.color_ev in (0, None)


@given(SIZES, st.integers(0, 4000))
def test_strips_cover_a_photo_once_and_in_order(size, pixels):
    strips = list(cut(size, pixels))
    assert [top for top, _ in strips] == [0, *(bottom for _, bottom in strips[:-1])]
    assert strips[-1][1] == size[0]
    assert all(bottom > top for top, bottom in strips)


# numbers and files


@given(
    hnp.arrays(float, st.integers(0, 30), elements=st.floats(allow_subnormal=False)),
    st.integers(1, 20),
)
def test_a_histogram_counts_every_finite_value(values, bins):
    found = histogram(values, np.linspace(-1, 1, bins + 1))
    assert sum(found.counts) == np.isfinite(values).sum()
    assert len(found.edges) == len(found.counts) + 1


@given(JSON)
def test_script_json_is_json_that_cannot_end_a_script(value):
    text = script_json(value)
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text) == value


LINES = st.tuples(  # a line of blanks is passed over
    STEMS.filter(str.strip),
    st.none() | st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)),
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\r")),
)


@given(st.lists(LINES, max_size=6))
def test_exclusions_come_back_with_any_name_and_note(tmp_path, lines):
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL)
    writer.writerow(("pair", "x", "y", "note"))
    writer.writerows((pair, *(place or ("", "")), note) for pair, place, note in lines)
    path = tmp_path / "exclude.csv"
    path.write_bytes(stream.getvalue().encode())
    found = [(x.pair, x.window_xy, x.note) for x in read_excluded_lines(path)]
    assert found == lines


@st.composite
def alignments(draw):
    """A record with any values that the format allows."""
    count = st.none() | st.integers(0, 10**6)
    size = st.none() | st.tuples(st.integers(1, 9999), st.integers(1, 9999))
    place = st.integers(0, 9999)
    box = st.none() | st.tuples(place, place, st.integers(1, 9), st.integers(1, 9))
    number = st.floats(-1e6, 1e6)
    row = st.tuples(number, number, number)
    cell = st.none() | st.tuples(number, number)
    sha = st.none() | st.binary(min_size=32, max_size=32).map(bytes.hex)
    return Alignment(
        draw(STEMS),
        draw(st.sampled_from(("aligned", "rejected", "failed"))),
        reason=draw(st.none() | st.sampled_from(PAIR_REASONS)),
        message=draw(st.none() | st.text(st.characters(exclude_categories=("Cs",)))),
        phone=draw(st.none() | STEMS),
        dslr=draw(st.none() | STEMS),
        phone_size=draw(size),
        dslr_size=draw(size),
        phone_to_dslr=draw(st.none() | st.tuples(row, row, row)),
        phone_box=draw(box),
        keypoints=draw(st.none() | st.tuples(place, place)),
        matches=draw(count),
        inliers=draw(count),
        inlier_rmse_px=draw(st.none() | st.floats(0, 100)),
        overlap=draw(st.none() | st.floats(0, 1)),
        phone_sha256=draw(sha),
        dslr_sha256=draw(sha),
        rmse_px=draw(st.none() | st.floats(0, 100)),
        field=draw(st.none() | st.tuples(st.tuples(cell, cell), st.tuples(cell, cell))),
    )


@given(st.lists(alignments(), max_size=3, unique_by=lambda record: record.pair))
def test_alignments_come_back_from_their_lines(records):
    lines = [json_bytes(record.to_json(), indent=None) for record in records]
    assert all(line.count(b"\n") == 1 for line in lines)
    assert parse_records(b"".join(lines)) == records


@settings(max_examples=25)
@given(st.dictionaries(STEMS, st.binary(max_size=20), max_size=4))
def test_sums_come_back_with_any_file_name(tmp_path_factory, files):
    folder = tmp_path_factory.mktemp("sums")
    for number, (name, data) in enumerate(files.items()):
        (folder / str(number)).mkdir()
        (folder / str(number) / name).write_bytes(data)
    write_sums(folder)
    assert read_sums(folder) == {
        f"{number}/{name}": sha256(folder / str(number) / name)
        for number, name in enumerate(files)
    }
