"""The benchmark of misplaced targets: its targets, its start, its intervals."""

import subprocess
import sys
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
import torch
from PIL import Image

sys.path.append(str(Path(__file__).parents[1] / "bench"))

from depth_photos import Truth
from depth_targets import Patches, exact_patches, target
from outcome import parser, report
from outcome_arms import turned
from outcome_photos import gather, planar_truth
from outcome_sets import BORDER, store
from outcome_table import interval
from outcome_targets import (
    DPED_PX,
    SIDE,
    Claims,
    common_windows,
    displacement,
    moved,
    read_claims,
    spread_px,
    target_at,
)
from outcome_training import KERNEL, begin_as_filter, best_filter
from scoring import SIZE

from dped_build.align.geometry import translation
from dped_build.patches.dataset import PatchDataset
from dped_build.selftest.simulated_cameras import Rig
from dped_build.train.batches import Batches
from dped_build.train.networks import SRCNN
from dped_build.workspace.errors import DpedBuildError

BENCH = Path(__file__).parents[1] / "bench" / "outcome.py"
LEVELS = 2  # of 255: linear samples against means of the pixels themselves


def test_a_target_is_the_mean_over_each_phone_pixels_area(textured):
    dslr = cv2.GaussianBlur(textured(0, (300, 260)), (0, 0), 2)
    y, x = np.mgrid[: dslr.shape[0] // 2, : dslr.shape[1] // 2].astype(np.float32)
    points = np.stack([2 * x + 0.5, 2 * y + 0.5], axis=-1)
    half = cv2.resize(dslr, points.shape[1::-1], interpolation=cv2.INTER_AREA)
    part = np.s_[10 : 10 + SIZE, 20 : 20 + SIZE]
    np.testing.assert_allclose(
        target(dslr, points, part), half[part].astype(float), atol=LEVELS
    )
    beside = np.s_[13 : 13 + SIZE, 18 : 18 + SIZE]
    np.testing.assert_array_equal(
        target(dslr, points, part, shift=(-2.0, 3.0)), target(dslr, points, beside)
    )


def test_a_folder_without_scenes_is_refused(tmp_path):
    with pytest.raises(DpedBuildError, match="no scenes"):
        exact_patches(tmp_path)


def test_windows_lie_in_a_patch_of_every_way_and_not_over_each_other():
    def grid(left, top, claim):
        starts = [(left + x, top + y) for x in (0, SIZE) for y in (0, SIZE)]
        boxes = np.array([[x, y, x + SIZE - 1, y + SIZE - 1] for x, y in starts])
        return Claims(boxes, np.array([claim] * len(starts)))

    near, far = np.eye(3), translation(3.0, 4.0)
    ways = [grid(0, 0, near), grid(30, 45, far)]
    windows = list(common_windows(ways))
    assert windows
    covered = np.zeros((300, 300), int)
    for window in windows:
        covered[window.y : window.y + SIDE, window.x : window.x + SIDE] += 1
        for way in ways:
            low = way.boxes[:, :2] <= (window.x, window.y)
            high = way.boxes[:, 2:] >= (window.x + SIDE - 1, window.y + SIDE - 1)
            assert (low & high).all(axis=1).any()
        assert spread_px(window) == pytest.approx(2.5)
    assert covered.max() == 1
    assert not list(
        common_windows([ways[0], Claims(np.empty((0, 4), int), near[None][:0])])
    )


def test_claims_are_those_of_the_pair_alone(tmp_path):
    for name, x in (("a", 7.0), ("b", 9.0)):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["patch_to_phone"] = translation(x, 0)[None]
            file["patch_to_dslr"] = translation(x + 1, 0)[None]
    found = read_claims(sorted(tmp_path.glob("*.h5")), "b")
    np.testing.assert_array_equal(found.boxes, [[9, 0, 9 + SIZE - 1, SIZE - 1]])
    np.testing.assert_allclose(found.phone_to_dslr[0], translation(1, 0))


def test_a_claim_gives_the_exact_target_where_it_is_true(textured):
    rig = Rig((320, 240), (480, 320), distortion=(0, 0), turn_deg=(0.5, 0.2, -0.3))
    truth, dslr = planar_truth(rig), textured(1, (480, 320))
    x, y = np.meshgrid([60.0, 200.0], [60.0, 170.0])
    places = np.stack([x, y], axis=-1).reshape(-1, 2)
    claim, _ = cv2.findHomography(places, rig.dslr_points(places))
    box = np.array([[100, 80, 100 + SIDE - 1, 80 + SIDE - 1]])
    (window,) = common_windows([Claims(box, claim[None])])
    part = np.s_[80 : 80 + SIDE, 100 : 100 + SIDE]
    exact = target(dslr, truth.dslr_points, part).astype(int)
    assert np.abs(target_at(dslr, claim, window) - exact).max() <= 1
    shift = np.array([1.5, -0.5])
    displaced = target(dslr, truth.dslr_points, part, shift=tuple(shift)).astype(int)
    assert np.abs(target_at(dslr, moved(claim, shift), window) - displaced).max() <= 1
    assert isinstance(truth, Truth) and not truth.edge.any()


def test_displacements_follow_the_measured_quantiles():
    random = np.random.default_rng(0)
    lengths = [np.hypot(*displacement(random)) for _ in range(4000)]
    found = np.quantile(lengths, [0.5, 0.9])
    np.testing.assert_allclose(found, DPED_PX[1:3], rtol=0.1)
    assert max(lengths) <= DPED_PX[-1]


def test_stored_borders_do_not_count(tmp_path):
    rng = np.random.default_rng(0)
    phone, dslr = rng.integers(256, size=(2, 3, SIDE, SIDE, 3), dtype=np.uint8)
    store(
        Patches(phone, dslr, np.ones((3, SIDE, SIDE), bool)),
        tmp_path / "s",
        split="train",
    )
    *pixels, valid = PatchDataset(tmp_path / "s", "train", masks=True)[1]
    np.testing.assert_array_equal(pixels, [phone[1], dslr[1]])
    assert valid.sum() == (SIDE - 2 * BORDER) ** 2 and valid[BORDER, BORDER]


def test_the_network_begins_as_the_filter_that_its_patches_ask_for(tmp_path):
    rng = np.random.default_rng(0)
    phone = rng.integers(40, 200, size=(40, SIDE, SIDE, 3), dtype=np.uint8)
    right = np.roll(phone, -2, axis=2)  # shows what lies two pixels to the right
    store(
        Patches(phone, right, np.ones(phone.shape[:3], bool)),
        tmp_path / "s",
        split="train",
    )
    batches = Batches(
        PatchDataset(tmp_path / "s", masks=True), device=torch.device("cpu")
    )
    weights = best_filter(batches, seed=0)
    assert weights.shape == (3 * KERNEL**2 + 1, 3)
    network = SRCNN()
    begin_as_filter(network, weights, seed=0)
    seen, wanted, *_ = batches.take(np.arange(4))
    inner = np.s_[:, :, BORDER:-BORDER, BORDER:-BORDER]
    torch.testing.assert_close(network(seen)[inner], wanted[inner], atol=0.01, rtol=0)


def test_a_patch_has_eight_turns_and_mirror_images():
    rng = np.random.default_rng(0)
    phone = rng.integers(256, size=(1, 8, 8, 3), dtype=np.uint8)
    found = turned(Patches(phone, phone, phone[..., 0] > 9))
    assert len({one.tobytes() for one in found.phone}) == 8
    np.testing.assert_array_equal(found.valid, found.phone[..., 0] > 9)


def test_intervals_are_students():
    mean, half = interval(np.array([1.0, 2.0, 3.0]))
    assert mean == 2
    assert half == pytest.approx(4.303 / np.sqrt(3), rel=1e-3)  # t of 2 at 97.5 %
    assert np.isnan(interval(np.array([1.0]))[1])


def test_a_real_photo_without_partner_is_named(tmp_path):
    for side, name in (("a", "1.png"), ("b", "1.png"), ("b", "2.png")):
        (tmp_path / side).mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / side / name)
    with pytest.raises(DpedBuildError, match=r"2\.png"):
        gather([(tmp_path / "a", tmp_path / "b")], tmp_path / "out")


def test_a_folder_of_other_photographs_or_folds_is_not_gone_on_with(tmp_path):
    def begin(*words):
        next(report(parser().parse_args([str(tmp_path / "work"), *map(str, words)])))

    (tmp_path / "a").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "a" / "1.png")
    pictures = ("--pictures", tmp_path / "a")
    real = ("--real", tmp_path / "a", tmp_path / "a")
    for words in (pictures, real, pictures, (*pictures, "--seeds", "3")):
        begin(*words)
    with pytest.raises(DpedBuildError, match="other settings"):
        begin(*real, "--seeds", "3")
    Image.new("RGB", (8, 8)).save(tmp_path / "a" / "2.png")
    for words in (pictures, real):
        with pytest.raises(DpedBuildError, match="other settings"):
            begin(*words)


@pytest.mark.long
def test_the_command_trains_every_arm_once_and_draws(tmp_path, textured):
    for seed in range(3):
        picture = tmp_path / "pictures" / f"{seed}.png"
        picture.parent.mkdir(exist_ok=True)
        Image.fromarray(textured(seed, (1024, 768))).save(picture)
    command = [sys.executable, BENCH, tmp_path / "work", "--pictures", picture.parent]
    sizes = (
        "--seeds 1 --each 1 --iterations 2 --batch-size 2 --windows 2 --long-side 640"
    )
    command += [*sizes.split(), "--jobs", "1", "--figure", tmp_path / "figure.png"]
    ran = [subprocess.run(command, capture_output=True, text=True) for _ in "12"]
    assert [one.returncode for one in ran] == [0, 0], ran[0].stderr
    assert ran[0].stdout == ran[1].stdout
    assert ran[0].stdout.count("\n| ours") == 3  # with masks, too, in one of the tables
    with Image.open(tmp_path / "figure.png") as figure:
        assert figure.width > 0
    other = subprocess.run([*command, "--each", "2"], capture_output=True, text=True)
    assert other.returncode == 1 and "other settings" in other.stderr
