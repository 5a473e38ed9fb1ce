"""The grid holds as many windows as any grid could, all of them in the overlap."""

import numpy as np
import pytest

from dped_build.align.geometry import visible_rows
from dped_build.patches.grid import grid_windows

SIZE = 9
WIDTH, HEIGHT = 70, 50


def turned(degrees, scale, x, y):
    """Phone px → DSLR px: a turn about the middle, zoomed and moved."""
    c, s = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    middle = np.array([(WIDTH - 1) / 2, (HEIGHT - 1) / 2])
    linear = np.array([[c, -s], [s, c]])
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = middle - linear @ middle + (x, y)
    return matrix


REGIONS = {
    "whole photo": turned(0, 0.9, 0, 0),
    "shifted": turned(0, 1.0, 13.4, -8.8),
    "turned": turned(20, 1.1, 2, 3),
    "zoomed in": turned(3, 1.6, -4, 2),
    "tilted": np.array([[1.2, 0.1, -9], [0.0, 1.3, -7], [1e-3, 5e-4, 1]]),
}


for seed in range(20):
    rng = np.random.default_rng(seed)
    chances = rng.uniform((-30, 0.9, -20, -15), (30, 1.6, 20, 15))
    REGIONS[f"random {seed}"] = turned(*chances)


@pytest.fixture(params=list(REGIONS))
def rows(request):
    return visible_rows(REGIONS[request.param], (WIDTH, HEIGHT), (WIDTH, HEIGHT))


def overlap(rows):
    """(H, W): which pixels lie in the overlap."""
    x = np.arange(WIDTH)
    return (x >= rows[:, :1]) & (x <= rows[:, 1:])


def windows_of_phase(mask, left, top):
    """Top-left pixels of the windows of one phase that lie inside."""
    return [
        (x, y)
        for y in range(top, HEIGHT - SIZE + 1, SIZE)
        for x in range(left, WIDTH - SIZE + 1, SIZE)
        if mask[y : y + SIZE, x : x + SIZE].all()
    ]


def test_no_phase_of_the_grid_fits_more_windows(rows):
    mask = overlap(rows)
    best = []
    for top in range(SIZE):
        for left in range(SIZE):
            found = windows_of_phase(mask, left, top)
            best = found if len(found) > len(best) else best
    windows = grid_windows(rows, SIZE)
    assert len(best) >= 1
    assert windows.tolist() == [list(place) for place in best]


def test_every_window_lies_in_the_overlap_and_none_on_another(rows):
    mask, covered = overlap(rows), np.zeros((HEIGHT, WIDTH), int)
    windows = grid_windows(rows, SIZE)
    for x, y in windows:
        assert x >= 0 and y >= 0
        covered[y : y + SIZE, x : x + SIZE] += 1
    assert covered.sum() == len(windows) * SIZE**2  # none beyond the photo
    assert covered.max() == 1
    assert mask[covered > 0].all()


def test_a_photo_that_is_seen_whole_is_filled():
    rows = np.tile([0, 299], (200, 1))
    assert grid_windows(rows, 100).tolist() == [
        [x, y] for y in (0, 100) for x in (0, 100, 200)
    ]


@pytest.mark.parametrize(
    "width, height, count", [(27, 18, 6), (26, 18, 4), (27, 17, 3), (9, 9, 1)]
)
def test_a_window_that_lacks_one_pixel_is_none(width, height, count):
    rows = np.tile([0, width - 1], (height, 1))
    assert len(grid_windows(rows, SIZE)) == count


@pytest.mark.parametrize(
    "rows",
    [
        np.tile([70, -1], (50, 1)),  # nothing in view
        np.tile([0, 7], (50, 1)),  # narrower than a window
        np.tile([0, 69], (8, 1)),  # a photo lower than a window
        np.zeros((0, 2), int),
    ],
)
def test_an_overlap_without_room_gives_no_windows(rows):
    windows = grid_windows(np.asarray(rows, dtype=np.int64), SIZE)
    assert windows.shape == (0, 2)
    assert windows.dtype == np.int32
