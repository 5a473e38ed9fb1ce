"""Crops of unseen photos as the trainings of outcome.py enhance them, side by side."""

from pathlib import Path

import cv2
import numpy as np
import torch
from depth import PLAIN
from numpy.typing import NDArray
from outcome_arms import REAL, SIMULATED, YIELD, Job
from outcome_cuts import EXACT, OURS, PAPER
from outcome_training import load
from PIL import Image, ImageDraw, ImageFont

from dped_build.patches.dataset import PatchDataset
from dped_build.train.pixels import to_unit

SHOWN = {SIMULATED: (EXACT, OURS, PAPER, PLAIN), REAL: (OURS, PAPER, PLAIN)}
ROWS, ZOOM, BORDER, TITLE, GAP = 4, 2, 6, 22, 4  # px but for the first two
QUALITY = 90


def draw(path: Path, part: str, work: Path, shown: Path) -> None:
    """The patches of `shown` with the most detail: phone, enhanced by each, target."""
    jobs = [Job(part, YIELD, arm, 0) for arm in SHOWN[part]]
    tests = PatchDataset(shown, "test", masks=True)
    chosen = most_detail([tests[row] for row in range(len(tests))])
    phone, target = (np.stack([tests[row][side] for row in chosen]) for side in (0, 1))
    columns = {"phone": phone, **{job.arm: _enhanced(job, work, phone) for job in jobs}}
    picture = _sheet({**columns, "target": target})
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, quality=QUALITY)


def most_detail(pairs: list[tuple[NDArray[np.uint8], ...]]) -> list[int]:
    """Rows whose targets have the strongest fine detail, none from its neighbours."""
    planes = [cv2.cvtColor(dslr, cv2.COLOR_RGB2GRAY) for _, dslr, _ in pairs]
    whole = [valid[BORDER:-BORDER, BORDER:-BORDER].all() for *_, valid in pairs]
    detail = [cv2.Laplacian(plane, cv2.CV_32F).std() for plane in planes]
    order = np.argsort(np.where(whole, detail, 0))[::-1]
    return [int(row) for row in order[: 3 * ROWS : 3]]


@torch.inference_mode()
def _enhanced(job: Job, work: Path, phone: NDArray[np.uint8]) -> NDArray[np.uint8]:
    found = load(job.run(work))(to_unit(torch.from_numpy(phone)))
    levels = (found.clamp(0, 1) * 255).round().byte()
    return np.asarray(levels.permute(0, 2, 3, 1).numpy())


def _sheet(columns: dict[str, NDArray[np.uint8]]) -> Image.Image:
    """Titled columns of crops, enlarged pixel by pixel."""
    inner = np.s_[:, BORDER:-BORDER, BORDER:-BORDER]
    columns = {name: side[inner] for name, side in columns.items()}
    side = next(iter(columns.values())).shape[1] * ZOOM
    step = side + GAP
    sheet = Image.new("RGB", (len(columns) * step, TITLE + ROWS * step), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for number, (name, crops) in enumerate(columns.items()):
        pen.text((number * step + 2, 3), name, fill="black", font=font)
        for row, crop in enumerate(crops):
            large = crop.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)
            place = (number * step, TITLE + row * step)
            sheet.paste(Image.fromarray(large), place)
    return sheet
