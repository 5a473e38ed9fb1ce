"""A small set of photo pairs with known geometry, made from photographs at hand.

The pictures lie inside scikit-image (extra `demo`). Two pairs are bad on purpose, so
that the first report shows rejections with their reasons: one whose photos show
different scenes, and one whose phone photo ends early.
"""

from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path

from dped_build.photos.encoding import encode
from dped_build.photos.reading import read_photo
from dped_build.selftest.simulated_cameras import PhoneLook, Rig, photograph
from dped_build.workspace.durable import drop_temporaries, write_atomic
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.json_files import json_bytes

PHONE, DSLR, TRUTH = "raw/phone", "raw/dslr", "truth"
BROKEN_SHARE = 0.4  # of the broken file that is there


@dataclass(frozen=True)
class Scene:
    """One pair of the set."""

    name: str
    picture: str  # file in scikit-image's data folder
    rig: Rig
    look: PhoneLook = field(default_factory=PhoneLook)
    dslr_picture: str | None = None  # where the DSLR looks elsewhere
    broken: bool = False  # the phone photo's file ends early


SCENES = (
    Scene("cat", "chelsea.png", Rig(turn_deg=(0.8, 0.7, -0.9))),
    Scene("coffee", "coffee.png", Rig(turn_deg=(-1.2, -0.5, 1.0))),
    Scene(
        "hubble",
        "hubble_deep_field.jpg",
        Rig(turn_deg=(1.5, 1.0, 0.5), distortion=(-0.05, 0.02)),
        PhoneLook(noise=0.015, gains=(1.1, 0.9, 0.7)),
    ),
    Scene(
        "rocket",
        "rocket.jpg",
        Rig(turn_deg=(-0.5, 1.0, 1.2), distortion=(0.02, -0.01)),
        PhoneLook(gains=(1.0, 0.8, 0.55)),
    ),
    Scene(
        "motorcycle",
        "motorcycle_left.png",
        Rig(turn_deg=(0.3, -1.0, 0.4)),
        PhoneLook(blur_px=1.0),
    ),
    Scene(
        "portrait", "astronaut.png", Rig(turn_deg=(-0.3, 0.8, 0.9), phone_fov_deg=50)
    ),
    Scene(
        "tissue",
        "ihc.png",
        Rig(turn_deg=(0.9, -0.9, -1.0)),
        PhoneLook(gains=(0.9, 0.7, 0.45)),
    ),
    Scene("two-scenes", "gravel.png", Rig(), dslr_picture="brick.png"),
    Scene("damaged", "grass.png", Rig(), broken=True),
)


def write_demo_set(folder: Path) -> None:
    """Write raw/phone, raw/dslr and truth below `folder`; what is there is kept."""
    pictures = picture_folder()
    for part in (PHONE, DSLR, TRUTH):
        drop_temporaries(folder / part)
    for number, scene in enumerate(SCENES):
        phone_path, dslr_path = (
            folder / d / f"{scene.name}.jpg" for d in (PHONE, DSLR)
        )
        truth_path = folder / TRUTH / f"{scene.name}.json"
        if truth_path.exists() and phone_path.exists() and dslr_path.exists():
            continue
        picture = read_photo(pictures / scene.picture)
        phone, dslr = photograph(picture, scene.rig, scene.look, seed=number)
        if scene.dslr_picture:
            other = read_photo(pictures / scene.dslr_picture)
            _, dslr = photograph(other, scene.rig, scene.look, seed=number)
        data = encode(phone, quality=85, subsampled=True)
        if scene.broken:
            data = data[: int(len(data) * BROKEN_SHARE)]
        write_atomic(phone_path, data)
        write_atomic(dslr_path, encode(dslr, quality=95, subsampled=True))
        write_atomic(truth_path, json_bytes(asdict(scene.rig)))


def picture_folder() -> Path:
    """Where scikit-image, if installed, keeps the photographs that come with it."""
    spec = find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        raise DpedBuildError(
            "the demo's photographs come with scikit-image, which is not installed; "
            'run: pip install "dped-build[demo]"'
        )
    return Path(spec.submodule_search_locations[0]) / "data"
