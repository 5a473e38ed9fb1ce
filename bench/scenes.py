"""The benchmark's scenes: everything that a photo pair is made from, and the making."""

import io
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pictures import defocused, read_picture, repeated, with_objects
from PIL import Image

from dped_build.align.geometry import FloatArray
from dped_build.selftest.simulated_cameras import DslrLook, PhoneLook, Rig, photograph

PHONE, DSLR = (2048, 1536), (3648, 2432)  # px; DPED's iPhone photos, and a 9 MP DSLR
DSLR_QUALITY = 95  # of the JPEG file
UPRIGHT = 1  # EXIF orientation
STORED_TURN = {1: 0, 6: 1, 3: 2, 8: 3}  # EXIF orientation → np.rot90 of upright pixels


@dataclass(frozen=True)
class Movement:
    """Objects that move between the two exposures, in DSLR px."""

    count: int = 6
    radius_px: float = 180.0
    distance_px: float = 60.0
    seed: int = 0

    def places(self, size: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
        """Where the DSLR and where the phone sees the centres, (N, 2) each, DSLR px."""
        rng = np.random.default_rng(self.seed)
        margin = self.radius_px + self.distance_px + 10
        first = rng.uniform(margin, np.array(size) - margin, (self.count, 2))
        angle = rng.uniform(0, 2 * np.pi, self.count)
        step = self.distance_px * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        return first, first + step


@dataclass(frozen=True)
class Scene:
    """One photo pair: what is looked at, by which cameras, and all that is special."""

    name: str
    picture: Path
    rig: Rig = field(default_factory=lambda: Rig(PHONE, DSLR))
    phone: PhoneLook = field(default_factory=PhoneLook)
    dslr: DslrLook = field(default_factory=DslrLook)
    crop: tuple[float, float, float] = (0.5, 0.5, 1.0)  # left, top, side; shares
    quality: int = 85  # of the phone's JPEG file
    orientation: int = UPRIGHT  # EXIF; how the phone's file is stored
    repeated: bool = False
    defocus_px: float = 0.0  # blur of the DSLR's background, DSLR px
    movement: Movement | None = None
    seed: int = 0

    def moving(self, phone_points: FloatArray) -> NDArray[np.bool_]:
        """Whether phone points (..., 2) show a moving object, or where one was."""
        seen = np.zeros(phone_points.shape[:-1], bool)
        if self.movement is None:
            return seen
        there = self.rig.dslr_points(phone_points)
        for centre in np.concatenate(self.movement.places(self.rig.dslr_size)):
            away = np.linalg.norm(there - centre, axis=-1)
            seen |= away < self.movement.radius_px
        return seen


def take(scene: Scene) -> tuple[bytes, bytes]:
    """The JPEG files of the phone and of the DSLR."""
    rig = scene.rig
    picture = read_picture(
        scene.picture, crop=scene.crop, width=rig.dslr_size[0], seed=scene.seed
    )
    if scene.repeated:
        picture = repeated(picture)
    phone_sees = dslr_sees = picture
    frame = np.array(picture.shape[1::-1])
    scale = float((frame / rig.dslr_size).min())  # picture px per DSLR px
    if scene.movement:
        middle = (np.array(rig.dslr_size) - 1) / 2
        dslr_sees, phone_sees = (
            with_objects(
                picture,
                (centres - middle) * scale + (frame - 1) / 2,
                scene.movement.radius_px * scale,
            )
            for centres in scene.movement.places(rig.dslr_size)
        )
    if scene.defocus_px:
        dslr_sees = defocused(dslr_sees, scene.defocus_px * scale, scene.seed)
    phone, dslr = _exposed(scene, phone_sees, dslr_sees)
    stored = np.rot90(phone, STORED_TURN[scene.orientation])
    return (
        jpeg(stored, scene.quality, scene.orientation),
        jpeg(dslr, DSLR_QUALITY),
    )


def write(scene: Scene, folder: Path) -> tuple[Path, Path]:
    """Write phone/<name>.jpg and dslr/<name>.jpg below `folder`."""
    phone, dslr = photo_paths(scene, folder)
    for path, data in zip((phone, dslr), take(scene), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return phone, dslr


def photo_paths(scene: Scene, folder: Path) -> tuple[Path, Path]:
    """Where the phone's and the DSLR's photo lie below `folder`."""
    file = f"{scene.name}.jpg"
    return folder / "phone" / file, folder / "dslr" / file


def sizes_for(long_side: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """DPED's phone and DSLR sizes, scaled to a phone of `long_side` px."""
    scale = long_side / PHONE[0]
    phone, dslr = (
        (round(width * scale), round(height * scale)) for width, height in (PHONE, DSLR)
    )
    return phone, dslr


def random_scene(name: str, picture: Path, *, long_side: int, seed: int) -> Scene:
    """A pair such as two cameras on one rig take; `seed` draws all of it."""
    rng = np.random.default_rng(seed)
    draw = rng.uniform
    phone_size, dslr_size = sizes_for(long_side)
    rig = Rig(
        phone_size,
        dslr_size,
        phone_fov_deg=draw(50, 56),
        dslr_fov_deg=draw(44, 48),
        turn_deg=tuple(draw(-1.5, 1.5, 3).tolist()),
        distortion=(draw(-0.05, 0.02), draw(-0.01, 0.02)),
        parallax_px=draw(0, 6) if draw() < 0.6 else 0.0,
        edge_px=draw(3, 15) if draw() < 0.125 else 0.0,
        relief_seed=seed,
    )
    phone = random_look(rng)
    return Scene(
        name,
        picture,
        rig,
        phone,
        crop=(draw(), draw(), draw(0.7, 1.0)),
        quality=int(rng.integers(75, 96)),
        seed=seed,
    )


def random_look(rng: np.random.Generator) -> PhoneLook:
    """What a phone may do to its picture."""
    draw = rng.uniform
    exposure = 2 ** draw(-0.8, 0.4)
    return PhoneLook(
        blur_px=draw(0.6, 1.2),
        vignetting=draw(0.1, 0.5),
        gains=(exposure * draw(0.8, 1.2), exposure, exposure * draw(0.7, 1.2)),
        noise=draw(0.01, 0.03),
        tone=draw(0, 0.6),
        denoise=draw(0, 10),
        sharpening=draw(0, 1),
        aberration_px=draw(-0.3, 0.3),
    )


def jpeg(photo: NDArray[np.uint8], quality: int, orientation: int = UPRIGHT) -> bytes:
    """A JPEG file of a photo as stored."""
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    image = Image.fromarray(np.ascontiguousarray(photo))
    image.save(buffer, "JPEG", quality=quality, exif=exif)
    return buffer.getvalue()


def _exposed(
    scene: Scene, phone_sees: NDArray[np.uint8], dslr_sees: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    def both(picture: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
        return photograph(
            picture, scene.rig, scene.phone, seed=scene.seed, dslr_look=scene.dslr
        )

    phone, dslr = both(phone_sees)
    return phone, dslr if dslr_sees is phone_sees else both(dslr_sees)[1]
