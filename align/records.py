"""What is known about one pair after alignment: a line of `alignment.jsonl`.

Lines and documents may come from strangers: `read_document`, `read_lines` and
`Alignment.from_json` take nothing that we would not have written.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dped_build.workspace.json_files import is_number, is_plain_name, is_plain_path

REASONS = (
    "unreadable",
    "truncated",
    "too_large",
    "no_partner",
    "ambiguous_partner",
    "too_few_matches",
    "too_few_inliers",
    "implausible_homography",
    "small_overlap",
    "worker_lost",
)
STATUSES = ("aligned", "rejected", "failed")
MAX_SIDE, MAX_PIXELS = 2**20, 2**32  # of a photo


@dataclass(frozen=True)
class Alignment:
    """How a phone photo and a DSLR photo lie on each other, or why they do not.

    Attributes:
        pair: Name of the pair (the file stem).
        status: `aligned`; `rejected` (the photos do not match); `failed` (a file).
        reason: One of REASONS; None where aligned.
        message: The reason in words; None where aligned.
        phone: Path within the phone folder, with `/`.
        dslr: Path within the DSLR folder, with `/`.
        phone_size: Upright (width, height), px.
        dslr_size: Upright (width, height), px.
        phone_to_dslr: Homography (3x3 nested tuples), upright phone px → DSLR px.
        phone_box: The intersection, (left, top, width, height) in phone px.
        keypoints: How many were found (phone, DSLR).
        matches: Mutual nearest neighbours that pass the ratio test.
        inliers: Matches that the homography explains.
        inlier_rmse_px: RMS reprojection error over the inliers, phone px.
        overlap: Share of the phone photo that the DSLR photo shows.
        phone_sha256: Hash of the file.
        dslr_sha256: Hash of the file.
    """

    pair: str
    status: str
    reason: str | None = None
    message: str | None = None
    phone: str | None = None
    dslr: str | None = None
    phone_size: tuple[int, int] | None = None
    dslr_size: tuple[int, int] | None = None
    phone_to_dslr: tuple[tuple[float, ...], ...] | None = None
    phone_box: tuple[int, int, int, int] | None = None
    keypoints: tuple[int, int] | None = None
    matches: int | None = None
    inliers: int | None = None
    inlier_rmse_px: float | None = None
    overlap: float | None = None
    phone_sha256: str | None = None
    dslr_sha256: str | None = None

    @property
    def aligned(self) -> bool:
        """Whether the pair can be cut into patches."""
        return self.status == "aligned"

    def worth_another_try(self) -> bool:
        """Whether the failure may have been the machine's and not the photo's."""
        unread = self.phone_sha256 is None or self.dslr_sha256 is None
        return self.status == "failed" and (unread or self.reason == "worker_lost")

    def matrix(self) -> NDArray[np.float64]:
        """`phone_to_dslr` as an array (3, 3).

        Raises:
            ValueError: The pair has no homography.
        """
        if self.phone_to_dslr is None:
            raise ValueError(f"pair {self.pair} has no homography ({self.reason})")
        return np.array(self.phone_to_dslr, dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """All keys in the order of the format; what has no value is None."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Alignment":
        """The record of one line; keys that a later version added are passed over.

        Raises:
            KeyError: `pair` or `status` is missing.
            TypeError or ValueError: A value is not as we write it.
        """
        values: dict[str, Any] = {"pair": record["pair"], "status": record["status"]}
        for field in fields(cls)[2:]:
            value = record.get(field.name)
            values[field.name] = tuple(value) if isinstance(value, list) else value
        if values["phone_to_dslr"] is not None:
            values["phone_to_dslr"] = tuple(map(tuple, values["phone_to_dslr"]))
        for name, value in values.items():
            if not _is_sound(name, value):
                raise ValueError(f"{name} = {value!r:.80}")
        return cls(**values)


def _is_entry(value: object) -> bool:
    """Whether a homography may hold this."""
    return is_number(value, limit=1e9)


def _is_sound(name: str, value: object) -> bool:
    """Whether a record may have this value; None for all that it may lack."""
    if name == "pair":
        return is_plain_name(value)
    if name in ("phone", "dslr"):
        return value is None or is_plain_path(value)
    if name == "status":
        return value in STATUSES
    if value is None:
        return True
    if name in ("reason", "message"):
        return isinstance(value, str)
    if name in ("phone_sha256", "dslr_sha256"):
        return isinstance(value, str) and bool(re.fullmatch("[0-9a-f]{64}", value))
    if name in ("inlier_rmse_px", "overlap"):
        return is_number(value) and value >= 0  # type: ignore[operator]
    if name == "phone_to_dslr":
        return _is_tuple(value, 3, lambda row: _is_tuple(row, 3, _is_entry))
    if name in ("phone_size", "dslr_size"):
        return _is_size(value)
    if name in ("phone_box", "keypoints"):
        return _is_tuple(value, 4 if name == "phone_box" else 2, _is_count)
    return _is_count(value)


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**31


def _is_size(value: object) -> bool:
    if not isinstance(value, tuple) or not _is_tuple(value, 2, _is_count):
        return False
    return 0 < min(value) <= max(value) <= MAX_SIDE and math.prod(value) <= MAX_PIXELS


def _is_tuple(value: object, length: int, fits: Callable[[object], bool]) -> bool:
    return isinstance(value, tuple) and len(value) == length and all(map(fits, value))


def counts_of(records: Sequence[Alignment]) -> dict[str, int]:
    """Photos, aligned pairs, and records by reason, as the manifest counts them."""
    reasons = Counter(record.reason for record in records if record.reason)
    aligned = sum(record.aligned for record in records)
    return {
        "photos": sum((r.phone is not None) + (r.dslr is not None) for r in records),
        "aligned": aligned,
        **{reason: reasons[reason] for reason in sorted(reasons)},
    }
