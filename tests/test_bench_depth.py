"""The benchmark's scenes with depth have exact truth, and its judge goes by it."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from PIL import Image

sys.path.append(str(Path(__file__).parents[1] / "bench"))

import depth
from depth_photos import Truth, photograph_scene, truth_path
from depth_scenes import DepthScene
from depth_scoring import Patch, Tally, attainable, judge, read_patches
from depth_shapes import Bars, Board, Leaves, Person
from depth_world import Camera, Plane
from scoring import luma

from dped_build.workspace.errors import DpedBuildError

BENCH = Path(__file__).parents[1] / "bench" / "depth.py"
LONG_SIDE = 384
SIZE = 100
WALL = Plane((0, 0, 40), 40)
CARD = Plane((0.1, 0, 2), 0.8, Board(0.5, 2.0))
SCENE = DepthScene((0.1, 0, 0), (WALL, CARD))


@pytest.fixture(scope="module")
def picture(tmp_path_factory, textured):
    path = tmp_path_factory.mktemp("pictures") / "picture.png"
    Image.fromarray(textured(0, (768, 512))).save(path)
    return path


@pytest.fixture(scope="module")
def taken(picture):
    return photograph_scene(SCENE, [picture], long_side=LONG_SIDE, seed=3)


@pytest.fixture(scope="module")
def flat(picture):
    wall = DepthScene((0.1, 0, 0), (WALL,))
    return photograph_scene(wall, [picture], long_side=LONG_SIDE, seed=3)


def true_patch(taken, x, y):
    """The patch at a window that says what is true of the window's surface."""
    phone, dslr, truth = taken
    part = np.s_[y : y + SIZE, x : x + SIZE]
    points = truth.dslr_points[part].reshape(-1, 2)
    rows, columns = np.mgrid[:SIZE, :SIZE].reshape(2, -1)
    to_dslr, _ = cv2.findHomography(np.stack([columns, rows], -1).astype(float), points)
    to_phone = np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], float)
    shown = cv2.warpPerspective(
        dslr, to_dslr, (SIZE, SIZE), flags=cv2.INTER_AREA | cv2.WARP_INVERSE_MAP
    )
    return Patch(phone[part], shown, to_phone, to_dslr, np.ones((SIZE, SIZE), bool))


def shifted(patch, px):
    back = np.array([[1, 0, px], [0, 1, 0], [0, 0, 1]], float)
    return replace(patch, patch_to_dslr=patch.patch_to_dslr @ back)


@pytest.mark.parametrize("turn", [(0, 0, 0), (1.0, -2.0, 30.0)])
def test_a_camera_shows_a_place_where_its_ray_came_from(turn):
    camera = Camera((400, 300), 50, (-0.04, 0.01), (0.1, -0.05, 0.2), turn)
    points = np.random.default_rng(0).uniform((0, 0), (399, 299), (50, 2))
    places = camera.rays(points) * 7 + camera.centre
    np.testing.assert_allclose(camera.project(places), points, atol=1e-8)


def test_known_points_lie_where_the_truth_says(taken):
    """Points of the card and of the wall, projected into both cameras."""
    truth = taken[2]
    turn = np.random.default_rng(3).uniform(-1.2, 1.2, 3)
    phone, dslr = SCENE.cameras(LONG_SIDE, tuple(turn))
    rng = np.random.default_rng(1)
    card = [(0.1 + x, y, 2.0) for x, y in rng.uniform(-0.2, 0.2, (20, 2))]
    wall = [(x, y, 40.0) for x, y in rng.uniform((9, -5), (12, 5), (20, 2))]
    seen = phone.project(np.array(card + wall)).astype(np.float32)
    found = cv2.remap(truth.dslr_points, seen[:, None], None, cv2.INTER_LINEAR)
    expected = dslr.project(np.array(card + wall))
    np.testing.assert_allclose(found[:, 0], expected, atol=0.06)  # remap: 1/32 px
    surface = truth.surface[tuple(np.rint(seen).astype(int).T[::-1])]
    np.testing.assert_array_equal(surface, [1] * 20 + [0] * 20)


def test_a_card_hides_as_much_wall_as_it_is_displaced(taken):
    truth = taken[2]
    phone, _ = SCENE.cameras(LONG_SIDE, (0, 0, 0))
    displaced = phone.focal_px * 0.1 * (1 / 2 - 1 / 40)  # px
    row = truth.visible.shape[0] // 2
    card = np.flatnonzero(truth.surface[row] == 1)
    hidden = np.flatnonzero(~truth.visible[row])
    hidden = hidden[np.abs(hidden - card.mean()) < len(card)]
    assert len(hidden) == pytest.approx(displaced, abs=1.5)
    assert hidden.max() == card.min() - 1  # the DSLR stands to the right
    edges = np.flatnonzero(truth.edge[row])
    assert len(edges) <= 2
    for at in edges:
        assert min(abs(at - card.min()), abs(at - card.max())) <= 1


def test_photos_agree_with_the_truth(flat):
    """To 0.05 px, by the shift that the gradients ask for."""
    phone, dslr, truth = flat
    there = cv2.remap(
        cv2.GaussianBlur(luma(dslr), (0, 0), 1.6).astype(np.float32),
        truth.dslr_points,
        None,
        cv2.INTER_CUBIC,
    )
    part = np.s_[80:200, 80:300]
    assert truth.visible[part].all()
    one = cv2.GaussianBlur(luma(phone).astype(np.float32), (0, 0), 1.2)
    two = cv2.GaussianBlur(there, (0, 0), 0.9)
    gy, gx = np.gradient(one)
    design = [gx[part], gy[part], one[part], np.ones_like(one[part])]
    columns = np.stack([column.ravel() for column in design], axis=-1)
    shift = np.linalg.lstsq(columns, two[part].ravel(), rcond=None)[0]
    assert np.abs(shift[:2] / shift[2]).max() < 0.05


def test_what_has_moved_is_seen_where_it_went(picture):
    still = photograph_scene(SCENE, [picture], long_side=LONG_SIDE, seed=3)[2]
    card = replace(CARD, moves=(0.1, 0, 0))
    scene = replace(SCENE, planes=(WALL, card))
    moved = photograph_scene(scene, [picture], long_side=LONG_SIDE, seed=3)[2]
    step = (moved.dslr_points - still.dslr_points)[still.surface == 1]
    _, dslr = scene.cameras(LONG_SIDE, (0, 0, 0))
    np.testing.assert_allclose(step[:, 0], dslr.focal_px * 0.1 / 2, rtol=0.05)
    assert (moved.dslr_points == still.dslr_points)[still.surface == 0].all()


def test_the_truth_itself_is_clean(flat):
    patches = [true_patch(flat, x, y) for x, y in ((80, 70), (190, 110))]
    found = Tally.pooled(judge(patch, flat[2]) for patch in patches)
    assert (found.kept, found.clean, found.whole, found.soiled) == (2, 2, 2, 0)
    assert found.right_px == found.valid_px == found.could_px == 2 * SIZE**2


@pytest.mark.parametrize(
    ("px", "right", "wrong"), [(0.4, 1, 0), (0.7, 0, 0), (2, 0, 1)]
)
def test_a_shifted_claim_is_wrong(flat, px, right, wrong):
    found = judge(shifted(true_patch(flat, 100, 80), px), flat[2])
    assert found.right_px == right * SIZE**2
    assert found.wrong_px == wrong * SIZE**2
    assert found.clean == right


def test_a_mask_over_what_is_wrong_makes_a_patch_clean(taken, flat):
    """A window that the card's left outline and what it hides cross."""
    truth = taken[2]
    left = int(np.flatnonzero(truth.surface[144] == 1)[0])
    of_wall = true_patch(flat, left - 70, 90)  # the same cameras and wall
    patch = replace(of_wall, phone=true_patch(taken, left - 70, 90).phone)
    assert np.isclose(flat[2].dslr_points, truth.dslr_points)[90:190, 10:60].all()
    bare = judge(patch, truth)
    assert (bare.clean, bare.soiled) == (0, 1)
    part = np.s_[90:190, left - 70 : left + 30]
    right = truth.visible[part] & ~truth.edge[part] & (truth.surface[part] == 0)
    assert bare.could_px == right.sum()
    masked = judge(replace(patch, valid=right), truth)
    assert (masked.clean, masked.whole, masked.soiled) == (1, 0, 0)
    assert masked.right_px == masked.valid_px == right.sum()
    half = right & (np.arange(SIZE) % 2 == 0)
    assert judge(replace(patch, valid=half), truth).right_px < 0.6 * masked.could_px
    empty = judge(replace(patch, valid=np.zeros_like(right)), truth)
    assert (empty.kept, empty.clean, empty.soiled, empty.valid_px) == (1, 0, 0, 0)


def test_windows_on_one_surface_are_attainable(taken, flat):
    plain, crossed = (attainable(t[2], t[0], t[1]) for t in (flat, taken))
    assert plain.attainable >= 2
    assert plain.attainable_px >= plain.attainable * SIZE**2
    assert crossed.attainable < plain.attainable
    assert crossed.attainable_px < plain.attainable_px
    other = attainable(flat[2], flat[0], flat[1][::-1].copy())
    assert other.attainable == 0  # the photos do not correlate at the truth


def test_patches_are_read_with_their_masks_and_by_pair(tmp_path, flat):
    patch = true_patch(flat, 100, 80)
    mask = np.arange(SIZE**2).reshape(SIZE, SIZE) % 3 > 0
    for name, with_mask in (("shard.h5", True), ("old.h5", False)):
        with h5py.File(tmp_path / name, "w") as file:
            file["photos"] = ["a", "b"]
            file["photo"] = np.array([1, 0], "i4")
            for column in ("phone", "dslr", "patch_to_phone", "patch_to_dslr"):
                file[column] = np.stack([getattr(patch, column)] * 2)
            if with_mask:
                file["valid"] = np.stack([mask, ~mask]).astype("u1")
    (found,) = read_patches([tmp_path / "shard.h5"], "a")
    np.testing.assert_array_equal(found.valid, ~mask)
    (whole,) = read_patches([tmp_path / "old.h5"], "b")
    assert whole.valid.all()
    assert not list(read_patches([tmp_path / "old.h5"], "c"))


@pytest.mark.parametrize(
    ("outline", "on", "off"),
    [
        (Board(2, 1), (0.9, 0.4), (0.9, 0.6)),
        (Bars(2, 1, 0.2, 0.04, 0.05), (0.1, 0.0), (0.0, 0.0)),
        (Bars(2, 1, 0.2, 0.04, 0.05), (0.0, 0.47), (0.0, 0.53)),
        (Person(1.7), (0.0, 0.0), (0.0, 0.7)),
    ],
)
def test_outlines_have_their_sizes(outline, on, off):
    x, y = np.array([on, off]).T
    np.testing.assert_array_equal(outline.covers(x, y), [True, False])


def test_leaves_are_the_same_each_time_and_leave_holes():
    x, y = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 5000))
    first = Leaves(1.0, 0.1, seed=1).covers(x, y)
    np.testing.assert_array_equal(first, Leaves(1.0, 0.1, seed=1).covers(x, y))
    assert 0.5 < first.mean() < 0.95
    assert (first != Leaves(1.0, 0.1, seed=2).covers(x, y)).any()


@pytest.mark.long
def test_the_command_prints_every_way_and_keeps_its_scenes(tmp_path, picture):
    out = tmp_path / "out"
    command = [sys.executable, BENCH, out, "--scenes", "skyline,persons"]
    command += ["--long-side", "640", "--pictures", picture.parent]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    rows = [line.split("|")[1:-1] for line in ran.stdout.splitlines() if "|" in line]
    pooled = {row[0].strip(): row for row in rows[-4:]}
    assert int(pooled["dped-build"][1]) > 0
    assert float(pooled["plain OpenCV"][-1]) > 0
    truth = truth_path("persons", out)
    assert Truth.load(truth).visible.shape == (480, 640)
    again = subprocess.run(
        [*command, "--seed", "1"], capture_output=True, text=True, check=False
    )
    assert again.returncode == 1
    assert "other settings" in again.stderr


def test_an_unknown_scene_is_named_with_those_there_are(tmp_path):
    options = depth.parser().parse_args([str(tmp_path), "--scenes", "table,moon"])
    with pytest.raises(DpedBuildError, match="moon: no such scene; there are railing"):
        list(depth.report(options))
    assert not list(tmp_path.iterdir())
