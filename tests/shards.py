"""Small patch shards of the published format, for tests that read them."""

from pathlib import Path

import h5py
import numpy as np

SMALL = ("ncc", "sigma_px", "rotation_deg", "sharpness_ratio", "color_fit_psnr")


def write_shard(
    folder: Path,
    name: str,
    photos: list[str],
    *,
    split: str = "train",
    per_photo: int = 3,
    size: int = 100,
    seed: int = 0,
):
    """Write `<folder>/<name>`: smooth random patches, the DSLR's a toned copy."""
    rng = np.random.default_rng(seed)
    count = len(photos) * per_photo
    coarse = rng.uniform(0, 255, (count, size // 5, size // 5, 3))
    phone = coarse.repeat(5, axis=1).repeat(5, axis=2)
    dslr = 20 + 0.8 * phone
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / name, "w") as file:
        file.attrs.update(
            {"format": "dped-build/patches", "version": 1, "split": split}
        )
        for key, pixels in (("phone", phone), ("dslr", dslr)):
            file.create_dataset(
                key,
                data=pixels.astype(np.uint8),
                chunks=(1, size, size, 3),
                fletcher32=True,
            )
        file["photos"] = np.array(photos, dtype=h5py.string_dtype())
        file["photo"] = np.repeat(np.arange(len(photos), dtype="i4"), per_photo)
        file["window_xy"] = np.stack(
            [np.tile(np.arange(per_photo) * size, len(photos)), np.zeros(count)], axis=1
        ).astype("i4")
        for key in SMALL:
            file[key] = rng.uniform(size=count).astype("f4")
    return phone.astype(np.uint8), dslr.astype(np.uint8)


def add_masks(shard: Path, valid: np.ndarray) -> None:
    """Give a shard's rows these masks, (N, S, S) of 0 and 1."""
    with h5py.File(shard, "r+") as file:
        chunks = (1, *valid.shape[1:])
        file.create_dataset(
            "valid", data=valid.astype("u1"), chunks=chunks, compression="gzip"
        )
        file["valid_share"] = valid.mean(axis=(1, 2)).astype("f4")


def half_masks(count: int, size: int, *, whole: int = 0) -> np.ndarray:
    """Masks of `whole` whole patches, then such as miss a part at the left or top."""
    valid = np.ones((count, size, size), dtype=np.uint8)
    for row in range(whole, count):
        missing = slice(size // (3 + row % 4))
        valid[(row, missing) if row % 2 else (row, slice(None), missing)] = 0
    return valid


def write_patches(root: Path, *, per_photo: int = 4, size: int = 100) -> Path:
    """A `patches` folder in the workspace `root` with all three splits."""
    folder = root / "patches"
    for number, (split, photos) in enumerate(
        {"train": ["0001", "0002", "0003"], "val": ["0004"], "test": ["0005"]}.items()
    ):
        write_shard(
            folder,
            f"{split}-00000.h5",
            photos,
            split=split,
            per_photo=per_photo,
            size=size,
            seed=number,
        )
    return folder
