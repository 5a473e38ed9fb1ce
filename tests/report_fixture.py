"""Synthetic workspaces with known numbers, in the formats of the other stages."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import h5py
import numpy as np

SIZE = 20  # side of a window, pixels
WIDTH, HEIGHT = 480, 360
GRID = [(x, y) for y in range(0, HEIGHT, 40) for x in range(0, WIDTH, 40)]
MIN_CORR = 0.9
TEXT = h5py.string_dtype("utf-8", 200)
SETTINGS = {"size": SIZE, "min_corr": MIN_CORR, "max_shift": 5.0}
COLUMNS = (
    "rotation_deg",
    "sigma_px",
    "sharpness_ratio",
    "color_fit_psnr",
    "clipped_phone",
    "clipped_dslr",
)


@dataclass(frozen=True)
class Lost:
    """A record that is not aligned."""

    pair: str
    reason: str
    message: str | None = None
    phone: bool = True
    dslr: bool = True


def scene(seed: int, *, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A textured photo, (height, width, 3) RGB."""
    noise = np.random.default_rng(seed).normal(size=(height, width, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), sigmaX=6)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def shift_at(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The shift written for a window at (x, y): 2 px to the right, and down with x."""
    return np.stack([np.full(x.shape, 2.0), x / WIDTH], axis=-1).astype(np.float32)


def make_workspace(
    folder: Path,
    names: Sequence[str],
    *,
    lost: Sequence[Lost] = (),
    photos: Sequence[np.ndarray] | None = None,
    cameras: tuple[str, str] = ("iphone", "canon"),
    patches: bool = True,
    runs: Sequence[str] = (),
) -> Path:
    """Write a workspace of aligned pairs `names`; every photo is one scene.

    Of the windows of each pair, in grid order, every third is rejected as `low_ncc`
    (NCC 0.7), every seventh of the others as `flat` (NCC not measured).
    """
    photos = photos or [scene(seed) for seed in range(len(names))]
    write_aligned(folder / "aligned", names, lost, photos, cameras)
    if patches:
        write_patches(folder / "patches", names, photos, cameras)
    for name in runs:
        write_run(folder / "runs" / name)
    return folder


def write_aligned(folder, names, lost, photos, cameras) -> None:
    folder.mkdir(parents=True)
    for camera in cameras:
        (folder / camera).mkdir()
    records = []
    for name, photo in zip(names, photos, strict=True):
        dslr = cv2.convertScaleAbs(photo, alpha=0.8, beta=30)
        for camera, crop in zip(cameras, (photo, dslr), strict=True):
            encoded = cv2.imencode(".jpg", crop[:, :, ::-1])[1]
            (folder / camera / f"{name}.jpg").write_bytes(encoded.tobytes())
        records.append(
            record(name, "aligned", photo.shape)
            | {"inliers": 321, "inlier_rmse_px": 0.43, "rmse_px": 1.2, "overlap": 0.87}
        )
    for item in lost:
        failed = not (item.phone and item.dslr)
        records.append(
            record(item.pair, "failed" if failed else "rejected", None)
            | {
                "reason": item.reason,
                "message": item.message,
                "phone": f"{item.pair}.jpg" if item.phone else None,
                "dslr": f"{item.pair}.jpg" if item.dslr else None,
            }
        )
    lines = "".join(json.dumps(line) + "\n" for line in records)
    (folder / "alignment.jsonl").write_text(lines)
    manifest = {
        "format": "dped-build/alignment",
        "version": 1,
        "phone_camera": cameras[0],
        "dslr_camera": cameras[1],
        "settings": {"crops": "jpg", "min_inliers": 20},
        "created_with": "dped-build 0.1.0",
        "counts": {},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))


def record(name: str, status: str, shape: tuple[int, ...] | None) -> dict:
    size = None if shape is None else [shape[1], shape[0]]
    return {
        "pair": name,
        "status": status,
        "reason": None,
        "message": None,
        "phone": f"{name}.jpg",
        "dslr": f"{name}.jpg",
        "phone_size": size,
        "dslr_size": size,
        "phone_to_dslr": None if size is None else np.eye(3).tolist(),
        "phone_box": None if size is None else [0, 0, *size],
        "keypoints": None,
        "matches": None,
        "inliers": None,
        "inlier_rmse_px": None,
        "overlap": None,
        "phone_sha256": None,
        "dslr_sha256": None,
    }


def outcomes(count: int) -> np.ndarray:
    """The reason of each of `count` windows, in grid order."""
    number = np.arange(count)
    reasons = np.where(number % 7 == 6, "flat", "accepted")
    return np.where(number % 3 == 2, "low_ncc", reasons)


def write_patches(folder, names, photos, cameras) -> None:
    folder.mkdir(parents=True)
    xy = np.array([at for _ in names for at in GRID], np.int32).reshape(-1, 2)
    pair = np.repeat(np.arange(len(names)), len(GRID))
    reason = np.tile(outcomes(len(GRID)), len(names))
    rng = np.random.default_rng(0)
    ncc = np.where(reason == "low_ncc", 0.7, 0.905 + 0.09 * rng.random(len(xy)))
    ncc[reason == "flat"] = np.nan
    ncc = ncc.astype(np.float32)
    shift = shift_at(xy[:, 0] + (SIZE - 1) / 2, xy[:, 1])
    with h5py.File(folder / "windows.h5", "w") as file:
        file["photos"] = np.array([name.encode() for name in names], dtype=TEXT)
        file["photo"] = pair.astype(np.int32)
        file["pair"] = np.array([name.encode() for name in names])[pair].astype(TEXT)
        file["window_xy"] = xy
        file["reason"] = reason.astype("S").astype(TEXT)
        status = np.where(reason == "accepted", "accepted", "rejected")
        file["status"] = status.astype("S").astype(TEXT)
        file["ncc"] = ncc
        file["shift_px"] = shift
        for name in COLUMNS:
            file[name] = rng.normal(0.2, 0.05, len(xy)).astype(np.float32)
        matrices = np.tile(np.eye(3), (len(xy), 1, 1))
        matrices[:, :2, 2] = xy
        file["patch_to_phone"] = file["patch_to_dslr"] = matrices
        file.attrs["settings"] = json.dumps(SETTINGS)
    kept = np.flatnonzero(reason == "accepted")
    split = np.array(["test", *["train"] * len(names)])[: len(names)]
    shards = []
    for part in ("train", "test"):
        rows = kept[split[pair[kept]] == part]
        name = f"{part}-00000.h5"
        write_shard(folder / name, part, rows, names, photos, pair, xy, ncc)
        used = np.unique(pair[rows]).size
        shards.append(
            {"file": name, "split": part, "patches": len(rows), "photos": used}
        )
    manifest = {
        "format": "dped-build/patches",
        "version": 1,
        "phone_camera": cameras[0],
        "dslr_camera": cameras[1],
        "settings": SETTINGS,
        "created_with": "dped-build 0.1.0",
        "dataset_id": "5ca1ab1e" * 8,
        "shards": shards,
        "splits": {
            shard["split"]: {key: shard[key] for key in ("photos", "patches")}
            for shard in shards
        },
        "windows": {
            str(name): int(count)
            for name, count in zip(*np.unique(reason, return_counts=True), strict=True)
        },
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with (folder / "split.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [("pair", "group", "split"), *zip(names, names, split, strict=True)]
        )


def write_shard(path, split, rows, names, photos, pair, xy, ncc) -> None:
    used, photo = np.unique(pair[rows], return_inverse=True)
    patches = [
        photos[pair[row]][y : y + SIZE, x : x + SIZE]
        for row in rows
        for x, y in [xy[row]]
    ]
    stacked = np.array(patches, np.uint8).reshape(-1, SIZE, SIZE, 3)
    with h5py.File(path, "w") as file:
        file["phone"] = stacked
        file["dslr"] = np.clip(stacked * 0.8 + 30, 0, 255).astype(np.uint8)
        file["photos"] = np.array([names[i].encode() for i in used], dtype=TEXT)
        file["photo"] = photo.astype(np.int32)
        file["window_xy"] = xy[rows]
        file["ncc"] = ncc[rows]
        file.attrs["format"] = "dped-build/patches"
        file.attrs["version"] = 1
        file.attrs["split"] = split


def write_run(folder: Path) -> None:
    """A run of 1,000 iterations: PSNR rises from 15 to 20 dB, the phone's is 15.24."""
    (folder / "samples").mkdir(parents=True)
    config = {
        "model": "dped",
        "loss": "color+content+texture",
        "vgg": "/secret/vgg.pth",
    }
    (folder / "config.json").write_text(json.dumps(config))
    lines = []
    for iteration in range(100, 1001, 100):
        lines.append({"iteration": iteration, "loss_color": 900 / iteration})
        quality = {"psnr": 15 + iteration / 200, "ms_ssim": 0.85 + iteration / 2e4}
        phone = {"input_psnr": 15.24, "input_ms_ssim": 0.8487}
        lines.append({"iteration": iteration, **quality, **phone})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text + '{"iteration": 1100, "los')
    sample = cv2.imencode(".png", scene(7, width=330, height=110))[1]
    for iteration in (500, 1000):
        (folder / "samples" / f"{iteration:06d}.png").write_bytes(sample.tobytes())


def make_many(folder: Path, count: int, *, crops: int = 30) -> Path:
    """Write a workspace of `count` records fast: seven of ten are aligned.

    Their numbers differ; they have 18 to 22 windows each, of which every 23rd pair's
    are all rejected. The first `crops` of them have pictures; patches are black.
    """
    names = [f"IMG_{number:04d}" for number in range(1, count + 1)]
    aligned = [name for number, name in enumerate(names) if number % 10 < 7]
    photos = [scene(seed) for seed in range(min(crops, len(aligned)))]
    cameras = ("iphone", "canon")
    write_aligned(folder / "aligned", aligned[: len(photos)], (), photos, cameras)
    lines = [json.dumps(varied_record(*at)) + "\n" for at in enumerate(names)]
    (folder / "aligned" / "alignment.jsonl").write_text("".join(lines))
    write_patches(folder / "patches", aligned[:2], [scene(0)] * 2, cameras)
    write_many_patches(folder / "patches", aligned)
    return folder


def varied_record(number: int, name: str) -> dict:
    """Record `number` of `make_many`."""
    inliers, overlap = 20 + number * 7919 % 480, (50 + number * 37 % 50) / 100
    if number % 10 < 7:
        return record(name, "aligned", (HEIGHT, WIDTH)) | {
            "inliers": inliers,
            "inlier_rmse_px": 0.2 + number * 17 % 90 / 100,
            "rmse_px": 0.1 + number * 23 % 70 / 10,
            "overlap": overlap,
        }
    if number % 10 == 9:
        message = f"{name}.JPG: no DSLR photo is called {name}"
        lost = {"reason": "no_partner", "message": message, "dslr": None}
        return record(name, "failed", None) | lost
    few = f"{inliers % 20} inliers among {inliers} matches, 20 needed"
    small = f"only {overlap / 3:.0%} of the phone photo is in the DSLR photo"
    reason, message = (
        ("too_few_inliers", few) if number % 10 == 7 else ("small_overlap", small)
    )
    lost = {"reason": reason, "message": message, "inliers": inliers % 20}
    return record(name, "rejected", None) | lost


def write_many_patches(folder: Path, names: Sequence[str]) -> None:
    """Replace what `write_patches` wrote by the windows and shards of many pairs."""
    rng = np.random.default_rng(1)
    counts = 18 + np.arange(len(names)) % 5
    pair = np.repeat(np.arange(len(names)), counts)
    within = np.arange(len(pair)) - np.repeat(np.cumsum(counts) - counts, counts)
    ncc = rng.uniform(0.8, 1.0, len(pair)) - 0.3 * (pair % 23 == 0)
    ncc = np.where(rng.random(len(pair)) < 0.1, np.nan, ncc).astype(np.float32)
    reason = np.select([np.isnan(ncc), ncc > MIN_CORR], ["flat", "accepted"], "low_ncc")
    status = np.where(reason == "accepted", "accepted", "rejected")
    columns = {
        "pair": np.array(names).astype("S")[pair].astype(TEXT),
        "window_xy": np.array(GRID, np.int32)[5 * within],
        "reason": reason.astype("S").astype(TEXT),
        "status": status.astype("S").astype(TEXT),
        "ncc": ncc,
        "shift_px": rng.normal(0, 1, (len(pair), 2)).astype(np.float32),
        "patch_to_phone": np.tile(np.eye(3), (len(pair), 1, 1)),
        "patch_to_dslr": np.tile(np.eye(3), (len(pair), 1, 1)),
    }
    for name in (*COLUMNS, "depth_px"):
        columns[name] = rng.uniform(0.05, 0.2, len(pair)).astype(np.float32)
    with h5py.File(folder / "windows.h5", "w") as file:
        file.attrs["settings"] = json.dumps(SETTINGS)
        file["photos"] = np.array(names).astype("S").astype(TEXT)
        file["photo"] = pair.astype(np.int32)
        for name, values in columns.items():
            file[name] = values
    manifest = json.loads((folder / "manifest.json").read_text())
    part = np.array(["test", "val", *["train"] * 8])[pair % 10]
    manifest["shards"] = []
    for split in ("train", "val", "test"):
        rows = np.flatnonzero((reason == "accepted") & (part == split))
        used, photo = np.unique(pair[rows], return_inverse=True)
        with h5py.File(folder / f"{split}-00000.h5", "w") as file:
            for side in ("phone", "dslr"):  # never written: zeros that take no space
                shape = (SIZE, SIZE, 3)
                file.create_dataset(side, (len(rows), *shape), "u1", chunks=(1, *shape))
            file["photos"] = np.array(names).astype("S")[used].astype(TEXT)
            file["photo"] = photo.astype(np.int32)
            file["window_xy"], file["ncc"] = columns["window_xy"][rows], ncc[rows]
            file.attrs.update(format=manifest["format"], version=1, split=split)
        manifest["shards"].append(
            {"file": f"{split}-00000.h5", "split": split}
            | {"patches": len(rows), "photos": len(used)}
        )
    manifest["splits"] = {
        shard["split"]: {key: shard[key] for key in ("photos", "patches")}
        for shard in manifest["shards"]
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    splits = ["test", "val", *["train"] * 8]
    rows = [(name, name, splits[at % 10]) for at, name in enumerate(names)]
    with (folder / "split.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("pair", "group", "split"), *rows])
