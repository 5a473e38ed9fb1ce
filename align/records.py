"""The result for one pair: a line of `alignment.jsonl`.

Lines may come from strangers: `Alignment.from_json` takes nothing that we would not
have written.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from dped_build.photos.likeness import DIGITS
from dped_build.workspace.json_files import (
    Count,
    Sha256,
    Share,
    converted,
    is_plain_name,
    is_plain_path,
)

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
ADDED = {"added": True}  # earlier files of this version lack the key
MAX_SIDE, MAX_PIXELS = 2**20, 2**32  # of a photo

Side = Annotated[int, Meta(ge=1, le=MAX_SIDE)]
Width = Annotated[Side, "Width, px."]
Height = Annotated[Side, "Height, px."]
Size = tuple[Width, Height]
Box = tuple[Annotated[Count, "Left, px."], Annotated[Count, "Top, px."], Width, Height]
Keypoints = tuple[
    Annotated[Count, "On the phone photo."], Annotated[Count, "On the DSLR photo."]
]
Entry = Annotated[float, Meta(gt=-1e9, lt=1e9)]
Row = Annotated[tuple[Entry, ...], Meta(min_length=3, max_length=3), "A row."]
Matrix = Annotated[tuple[Row, ...], Meta(min_length=3, max_length=3)]
Displacement = Annotated[
    tuple[Annotated[Entry, "dx"], Annotated[Entry, "dy"]],
    "Phone px; null where nothing is known.",
]
FieldRow = Annotated[tuple[Displacement | None, ...], "A row of cells."]
Field = tuple[FieldRow, ...]
PictureHash = Annotated[str, Meta(pattern=f"^[0-9a-f]{{{DIGITS}}}$")]
Reason = Annotated[str, Meta(extra_json_schema={"enum": REASONS})]  # later ones count


@dataclass(frozen=True)
class Alignment:
    """How a phone and a DSLR photo align, or the reason why they do not.

    Attributes:
        pair: Name of the pair (the file stem).
        status: `aligned`; `rejected` (the photos do not match); `failed` (a file).
        reason: Code of why it is not aligned; None where it is.
        message: The reason in words; None where aligned.
        phone: Path within the phone folder, with `/`.
        dslr: Path within the DSLR folder, with `/`.
        phone_size: Upright (width, height), px.
        dslr_size: Upright (width, height), px.
        phone_to_dslr: Homography, 3x3 nested tuples: upright phone px (x, y, 1) →
            upright DSLR px; pixel centres at integers.
        phone_box: The intersection, (left, top, width, height) in phone px.
        keypoints: How many were found (phone, DSLR).
        matches: Mutual nearest neighbours that pass the ratio test.
        inliers: Matches that the first fit explains.
        inlier_rmse_px: RMS reprojection error over the inliers, phone px.
        overlap: Share of the phone photo that the DSLR photo shows.
        phone_sha256: Hash of the file.
        dslr_sha256: Hash of the file.
        phone_color: Colour space that the file states, and by what.
        dslr_color: Likewise.
        dslr_hash: What the photo shows (`photos.likeness`): shots of one scene are
            alike.
        rmse_px: How far the homography is off at places that it was not fitted to: RMS
            over cells of the photo, phone px.
        off_surface: Share of the places whose displacement is more than 2 px off a
            smooth surface: depth, or what moved.
        field: Where the photos depart from it: median displacement in cells that divide
            the phone photo evenly, rows of (dx, dy) in phone px. A point p of the
            phone is shown by the DSLR where the homography maps p + (dx, dy).
    """

    pair: Annotated[str, Meta(min_length=1)]
    status: Literal["aligned", "rejected", "failed"]
    reason: Reason | None = None
    message: str | None = None
    phone: str | None = None
    dslr: str | None = None
    phone_size: Size | None = None
    dslr_size: Size | None = None
    phone_to_dslr: Matrix | None = None
    phone_box: Box | None = None
    keypoints: Keypoints | None = None
    matches: Count | None = None
    inliers: Count | None = None
    inlier_rmse_px: Annotated[float, Meta(ge=0, lt=1e9)] | None = None
    overlap: Share | None = None
    phone_sha256: Sha256 | None = None
    dslr_sha256: Sha256 | None = None
    phone_color: str | None = field(default=None, metadata=ADDED)
    dslr_color: str | None = field(default=None, metadata=ADDED)
    dslr_hash: PictureHash | None = field(default=None, metadata=ADDED)
    rmse_px: Annotated[float, Meta(ge=0, lt=1e9)] | None = field(
        default=None, metadata=ADDED
    )
    off_surface: Share | None = field(default=None, metadata=ADDED)
    field: Field | None = field(default=None, metadata=ADDED)

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
        """The record of one line; keys of later versions are ignored.

        Raises:
            ValueError: It is not as we write it.
        """
        found = converted(record, cls)
        paths = [path for path in (found.phone, found.dslr) if path is not None]
        if not is_plain_name(found.pair) or not all(map(is_plain_path, paths)):
            raise ValueError(f"{found.pair!r:.80}, {paths!r:.160}: no name of ours")
        for size in (found.phone_size, found.dslr_size):
            if size is not None and math.prod(size) > MAX_PIXELS:
                raise ValueError(f"{size[0]} x {size[1]} px are too many")
        return found


def counts_of(records: Sequence[Alignment]) -> dict[str, int]:
    """Photos, aligned pairs, and records by reason, as the manifest counts them."""
    reasons = Counter(record.reason for record in records if record.reason)
    aligned = sum(record.aligned for record in records)
    return {
        "photos": sum((r.phone is not None) + (r.dslr is not None) for r in records),
        "aligned": aligned,
        **{reason: reasons[reason] for reason in sorted(reasons)},
    }
