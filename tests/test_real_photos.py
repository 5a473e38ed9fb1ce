"""Real photos: pairs of two cameras align, unrelated ones do not, all are read."""

import numpy as np
import pytest
from PIL import Image

from dped_build.align import align_pair
from dped_build.align.geometry import apply_homography
from dped_build.align.photos import list_photos, photo_size, read_photo

SIDE = 640  # px of the long side; enough to tell photos apart


def reduced(path):
    """A photo with its long side at most SIDE px."""
    photo = Image.fromarray(read_photo(path))
    photo.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(photo)


@pytest.fixture(scope="module")
def photographs(shared_data):
    """Eleven photos of eleven scenes, reduced."""
    return [reduced(path) for path in list_photos(shared_data / "photos")]


def test_all_camera_originals_are_read(shared_data, photographs):
    paths = list_photos(shared_data / "photos")
    assert len(paths) == len(photographs) == 11
    for path, photo in zip(paths, photographs, strict=True):
        width, height = photo_size(path)
        assert width * height > 4e6
        assert photo.shape[1] / photo.shape[0] == pytest.approx(
            width / height, rel=0.01
        )
        assert photo.std() > 10


@pytest.mark.parametrize(
    "name", ["001H", "003H", "048H", "053H", "068H", "079H", "082H", "099H"]
)
def test_postcards_of_two_cameras_align(shared_data, name):
    folder = shared_data / "pairs" / "city100"
    phone, dslr = (
        read_photo(folder / camera / f"{name}.PNG")
        for camera in ("iPhoneX", "NikonD5500")
    )
    alignment = align_pair(phone, dslr, pair=name)
    assert alignment.status == "aligned", alignment.message
    assert alignment.inlier_rmse_px < 1
    assert alignment.overlap > 0.5


def test_unrelated_photos_are_never_aligned(photographs):
    count = len(photographs)
    for phone, dslr in [(0, 5), *((i, (i + 3) % count) for i in range(count))]:
        alignment = align_pair(photographs[phone], photographs[dslr])
        assert alignment.status == "rejected"
        assert (alignment.inliers or 0) < 15


@pytest.mark.parametrize(
    "scene, image, tolerance_px",
    [
        ("leuven", 2, 0.5),  # px of the first photo
        ("leuven", 4, 1.0),
        ("boat", 2, 1.0),
        ("boat", 4, 3.0),  # its stated homography is itself off by up to 2.5 px
    ],
)
def test_known_homography_is_found(shared_data, scene, image, tolerance_px):
    folder = shared_data / "known_homography" / scene
    truth = np.loadtxt(folder / f"H1to{image}p")
    first, other = (read_photo(folder / f"img{n}.png") for n in (1, image))
    alignment = align_pair(other, first)
    assert alignment.status == "aligned", alignment.message
    height, width = other.shape[:2]
    grid = np.stack(np.meshgrid([0.3, 0.5, 0.7], [0.3, 0.5, 0.7]), axis=-1)
    points = grid * (width, height)
    expected = apply_homography(np.linalg.inv(truth), points)
    error = apply_homography(alignment.matrix(), points) - expected
    assert np.linalg.norm(error, axis=-1).max() < tolerance_px
