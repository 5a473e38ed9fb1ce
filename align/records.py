"""What is known about one pair after alignment: a line of `alignment.jsonl`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


@dataclass(frozen=True)
class Alignment:
    """How a phone photo and a DSLR photo lie on each other, or why they do not.

    Attributes:
        pair: Name of the pair (the file stem).
        status: `aligned`; `rejected` (the photos do not match); `failed` (a file).
        reason: One of REASONS; None where aligned.
        message: The reason in words; None where aligned.
        phone: File name within the phone folder.
        dslr: File name within the DSLR folder.
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
        return self.reason == "worker_lost" or (self.status == "failed" and unread)

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
        """
        values: dict[str, Any] = {"pair": record["pair"], "status": record["status"]}
        for field in fields(cls)[2:]:
            value = record.get(field.name)
            values[field.name] = tuple(value) if isinstance(value, list) else value
        if values["phone_to_dslr"] is not None:
            values["phone_to_dslr"] = tuple(map(tuple, values["phone_to_dslr"]))
        return cls(**values)


def counts_of(records: Sequence[Alignment]) -> dict[str, int]:
    """Photos, aligned pairs, and records by reason, as the manifest counts them."""
    reasons = Counter(record.reason for record in records if record.reason)
    aligned = sum(record.aligned for record in records)
    return {
        "photos": sum((r.phone is not None) + (r.dslr is not None) for r in records),
        "aligned": aligned,
        **{reason: reasons[reason] for reason in sorted(reasons)},
    }
