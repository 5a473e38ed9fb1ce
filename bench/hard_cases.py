"""The cases that alignment is known to fail on, each with one thing made hard."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from scenes import Movement, Scene, random_scene, sizes_for

Change = Callable[[Scene], Scene]
Figure = float | tuple[float, ...]

PLAIN_RATIO = 2.1  # DSLR px per phone px of the plain scenes, about


def hard_scenes(
    pictures: Sequence[Path], *, each: int, long_side: int, seed: int
) -> dict[str, list[Scene]]:
    """Case name → scenes; case for case the same plain scenes, made hard."""
    plain = [
        _plain(pictures[i % len(pictures)], number=i, long_side=long_side, seed=seed)
        for i in range(each)
    ]
    return {name: [change(scene) for scene in plain] for name, change in CASES.items()}


def _plain(picture: Path, *, number: int, long_side: int, seed: int) -> Scene:
    scene = random_scene(
        f"{number}-{picture.stem}", picture, long_side=long_side, seed=seed + number
    )
    rig = replace(scene.rig, parallax_px=1.0, edge_px=0.0)
    return replace(scene, rig=rig, phone=replace(scene.phone, aberration_px=0.0))


def _rig(**values: Figure) -> Change:
    changes: dict[str, Any] = {**values}
    return lambda scene: replace(scene, rig=replace(scene.rig, **changes))


def _phone(**values: Figure) -> Change:
    changes: dict[str, Any] = {**values}
    return lambda scene: replace(scene, phone=replace(scene.phone, **changes))


def _scene(**values: Figure) -> Change:
    changes: dict[str, Any] = {**values}
    return lambda scene: replace(scene, **changes)


def _exposure(stops: float) -> Change:
    def change(scene: Scene) -> Scene:
        red, green, blue = (gain * 2**stops for gain in scene.phone.gains)
        return _phone(gains=(red, green, blue))(scene)

    return change


def _turn(degrees: float) -> Change:
    def change(scene: Scene) -> Scene:
        roll, pitch, yaw = scene.rig.turn_deg
        return _rig(turn_deg=(roll + degrees, pitch, yaw))(scene)

    return change


def _ratio(wanted: float) -> Change:
    """DSLR px per phone px: by another size of the photos, of the DSLR's first."""

    def change(scene: Scene) -> Scene:
        phone, dslr = sizes_for(scene.rig.phone_size[0])
        factor = wanted / PLAIN_RATIO
        growth = min(factor, 2.0)  # 35 MP; beyond, the phone photo shrinks
        phone, dslr = _scaled(phone, growth / factor), _scaled(dslr, growth)
        return _rig(phone_size=phone, dslr_size=dslr)(scene)

    return change


def _scaled(size: tuple[int, int], factor: float) -> tuple[int, int]:
    return round(size[0] * factor), round(size[1] * factor)


def _dslr_aberration(scene: Scene) -> Scene:
    return replace(scene, dslr=replace(scene.dslr, aberration_px=PLAIN_RATIO))


def _portrait(scene: Scene) -> Scene:
    (w, h), (width, height) = scene.rig.phone_size, scene.rig.dslr_size
    rig = replace(
        scene.rig,
        phone_size=(h, w),
        dslr_size=(height, width),
        phone_fov_deg=scene.rig.phone_fov_deg * h / w,
        dslr_fov_deg=scene.rig.dslr_fov_deg * height / width,
    )
    return replace(scene, rig=rig, orientation=6)


def _moving(scene: Scene) -> Scene:
    scale = scene.rig.dslr_size[0] / 3648
    movement = Movement(radius_px=180 * scale, distance_px=60 * scale, seed=scene.seed)
    return replace(scene, movement=movement)


CASES: dict[str, Change] = {
    "plain": _scene(),
    "exposure -3.6 EV": _exposure(-3.6),
    "exposure -2 EV": _exposure(-2.0),
    "exposure +2 EV": _exposure(2.0),
    "strong cast": _phone(gains=(1.5, 0.8, 0.3)),
    "blur 2 px": _phone(blur_px=2.0),
    "noise x 4": _phone(noise=0.08, denoise=0.0),
    "smeared and sharpened": _phone(noise=0.05, denoise=20.0, sharpening=2.0),
    "JPEG quality 40": _scene(quality=40),
    "turn 15°": _turn(15),
    "turn 90°": _turn(90),
    "turn 180°": _turn(180),
    "turn 270°": _turn(270),
    "portrait, EXIF": _portrait,
    "ratio 1": _ratio(1.0),
    "ratio 6": _ratio(6.0),
    "ratio 12": _ratio(12.0),
    "repetitive": _scene(repeated=True),
    "parallax 15 px": _rig(parallax_px=15.0),
    "rolling shutter 4 px": _rig(rolling_px=4.0),
    "depth edges 12 px": _rig(edge_px=12.0),
    "depth edges 40 px": _rig(edge_px=40.0),
    "moving objects": _moving,
    "defocused background": _scene(defocus_px=6.0),
    "aberration 1 px, phone": _phone(aberration_px=1.0),
    "aberration 1 px, DSLR": _dslr_aberration,
}
