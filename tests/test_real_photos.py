"""Real photos: pairs of two cameras align, unrelated ones do not, all are read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dped_build.align import Alignment, AlignSettings, align_pair
from dped_build.align.aligner import align_features
from dped_build.align.features import Features, find_features
from dped_build.align.geometry import apply_homography
from dped_build.photos.listing import list_photos
from dped_build.photos.reading import photo_size, read_photo
from dped_build.selftest.demo_set import SCENES, picture_folder

SIDE = 1200  # px of the long side; as much as matching ever looks at
POSTCARDS = ("001H", "003H", "048H", "053H", "068H", "079H", "082H", "099H")
SIDES = AlignSettings().matching_sides


@dataclass(frozen=True)
class Picture:
    """A photo, and the scene that it shares with others."""

    scene: str
    pixels: NDArray[np.uint8]


def reduced(path: Path) -> NDArray[np.uint8]:
    """A photo with its long side at most SIDE px."""
    photo = Image.fromarray(read_photo(path))
    photo.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(photo)


def features_at(side: int, pictures: Sequence[Picture]) -> list[tuple[str, Features]]:
    return [(each.scene, find_features(each.pixels, side)) for each in pictures]


def unrelated(found: Sequence[tuple[str, Features]]) -> Iterator[Alignment]:
    """All ordered pairs of different scenes, matched at one size."""
    settings = AlignSettings()
    for scene, phone in found:
        for other, dslr in found:
            if scene != other:
                yield align_features(phone, dslr, settings=settings)


@pytest.fixture(scope="module")
def demo_pictures() -> list[Picture]:
    """The photographs behind the demo."""
    names = {name for s in SCENES for name in (s.picture, s.dslr_picture) if name}
    return [Picture(name, reduced(picture_folder() / name)) for name in sorted(names)]


@pytest.fixture(scope="module")
def real_pictures(shared_data: Path) -> list[Picture]:
    """Photos of 21 scenes, and each postcard by both cameras."""
    paths = [
        *list_photos(shared_data / "photos"),
        *(
            shared_data / "known_homography" / n / "img1.png"
            for n in ("boat", "leuven")
        ),
    ]
    pictures = [Picture(path.as_posix(), reduced(path)) for path in paths]
    for camera in ("iPhoneX", "NikonD5500"):
        for name in POSTCARDS:
            path = shared_data / "pairs" / "city100" / camera / f"{name}.PNG"
            pictures.append(Picture(name, reduced(path)))
    return pictures


def test_all_camera_originals_are_read(shared_data):
    paths = list_photos(shared_data / "photos")
    assert len(paths) == 11
    for path in paths:
        photo = read_photo(path)
        assert photo.shape[1::-1] == photo_size(path)
        assert photo.size > 3 * 4e6
        assert photo[::8, ::8].std() > 10


@pytest.mark.parametrize("name", POSTCARDS)
def test_postcards_of_two_cameras_align(shared_data, name):
    folder = shared_data / "pairs" / "city100"
    phone, dslr = (
        read_photo(folder / camera / f"{name}.PNG")
        for camera in ("iPhoneX", "NikonD5500")
    )
    alignment = align_pair(phone, dslr, pair=name)
    assert alignment.status == "aligned", alignment.message
    assert alignment.inliers > 100
    assert alignment.inlier_rmse_px < 1.5  # phone px; half a px of the size matched
    assert alignment.overlap > 0.9


@pytest.mark.parametrize("side", SIDES)
def test_unrelated_demo_pictures_are_never_aligned(demo_pictures, side):
    """At no size, so that no ladder of sizes aligns them either."""
    found = list(unrelated(features_at(side, demo_pictures)))
    assert len(found) >= 70
    assert {alignment.status for alignment in found} == {"rejected"}
    assert max(alignment.inliers or 0 for alignment in found) < 12


@pytest.mark.parametrize("side", SIDES)
def test_mirrored_demo_pictures_are_never_aligned(demo_pictures, side):
    for picture in demo_pictures:
        mirrored = find_features(picture.pixels[:, ::-1].copy(), side)
        original = find_features(picture.pixels, side)
        alignment = align_features(mirrored, original, settings=AlignSettings())
        assert alignment.status == "rejected", picture.scene


@pytest.mark.parametrize(
    "side", [*SIDES[:-1], pytest.param(SIDES[-1], marks=pytest.mark.long)]
)
def test_hundreds_of_unrelated_pairs_are_never_aligned(real_pictures, side):
    """At no size; some postcards even carry the same logo in the same place."""
    found = list(unrelated(features_at(side, real_pictures)))
    assert len(found) >= 700
    assert {alignment.status for alignment in found} == {"rejected"}


@pytest.mark.parametrize(
    "scene, image, mean_px, worst_px",  # px of the first photo, over the overlap
    [
        ("leuven", 2, 0.6, 2.0),
        ("leuven", 4, 0.6, 2.0),
        ("boat", 2, 0.6, 2.0),
        ("boat", 4, 3.0, 8.0),  # its stated homography is itself off by up to 2.5 px
    ],
)
def test_known_homography_is_found(shared_data, scene, image, mean_px, worst_px):
    folder = shared_data / "known_homography" / scene
    truth = np.linalg.inv(np.loadtxt(folder / f"H1to{image}p"))
    first, other = (read_photo(folder / f"img{n}.png") for n in (1, image))
    alignment = align_pair(other, first)
    assert alignment.status == "aligned", alignment.message
    axes = (np.linspace(0, n - 1, 21) for n in other.shape[1::-1])
    points = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    expected = apply_homography(truth, points)
    seen = ((expected >= 0) & (expected <= np.array(first.shape[1::-1]) - 1)).all(
        axis=1
    )
    error = apply_homography(alignment.matrix(), points[seen]) - expected[seen]
    error_px = np.linalg.norm(error, axis=1)
    assert error_px.mean() < mean_px
    assert error_px.max() < worst_px
