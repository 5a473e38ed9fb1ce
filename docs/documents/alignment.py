"""What `align` prints, and its manifest."""

from typing import Annotated, Literal, NotRequired, TypedDict

from msgspec import Meta

from documents.common import (
    AlignSettings,
    Amount,
    Count,
    PairingFound,
    PairReason,
    PairReasons,
    Written,
)
from dped_build.align.records import Size


class AlignSummary(TypedDict):
    """What a run came to."""

    folder: Annotated[str, "Where it was written."]
    pairs: Annotated[Count, "Pairs."]
    aligned: Annotated[Count, "Aligned pairs."]
    reasons: PairReasons
    newly_done: Annotated[Count, "Pairs done by this run."]
    swapped: Annotated[bool, "Most pairs look as if phone and DSLR were swapped."]
    advice: Annotated[str, "Another way to pair that might fit better, or empty."]
    exchanged: Annotated[
        list[Annotated[tuple[str, str], "Two pairs."]],
        "Pairs whose photos fit crosswise.",
    ]


class Counts(TypedDict):
    """Photos, aligned pairs, and records by reason."""

    photos: Annotated[Count, "Photos in both folders."]
    aligned: Annotated[Count, "Aligned pairs."]
    unreadable: NotRequired[Annotated[Count, "Records with this reason."]]
    truncated: NotRequired[Annotated[Count, "Records with this reason."]]
    too_large: NotRequired[Annotated[Count, "Records with this reason."]]
    no_partner: NotRequired[Annotated[Count, "Records with this reason."]]
    ambiguous_partner: NotRequired[Annotated[Count, "Records with this reason."]]
    too_few_matches: NotRequired[Annotated[Count, "Records with this reason."]]
    too_few_inliers: NotRequired[Annotated[Count, "Records with this reason."]]
    implausible_homography: NotRequired[Annotated[Count, "Records with this reason."]]
    small_overlap: NotRequired[Annotated[Count, "Records with this reason."]]
    worker_lost: NotRequired[Annotated[Count, "Records with this reason."]]


class AlignmentManifest(Written):
    """What the folder `aligned/` was made with."""

    format: Annotated[Literal["dped-build/alignment"], "What this is."]
    phone_camera: Annotated[str, "Name of the phone's folder."]
    dslr_camera: Annotated[str, "Name of the DSLR's folder."]
    settings: AlignSettings
    pairing: NotRequired[PairingFound]
    counts: Counts


class Pairing(TypedDict):
    """How photos were paired."""

    how: Annotated[str, "In words."]
    clock_offset_s: NotRequired[
        Annotated[float, "DSLR clock minus phone clock, as found or stated, s."]
    ]
    matches: NotRequired[Annotated[Count, "Pairs that speak for this pairing."]]
    clock_offsets_s: NotRequired[
        Annotated[
            list[Annotated[float, "s."]],
            "Where a clock was set in between: that, and the others.",
        ]
    ]
    by_place: NotRequired[
        Annotated[Count, "Pairs that only stand between the same neighbours."]
    ]


class PlannedPair(TypedDict):
    """One."""

    pair: Annotated[str, "Its name."]
    phone: Annotated[str, "Photo."]
    dslr: Annotated[str, "Photo."]


class LeftOverPhoto(TypedDict):
    """One."""

    camera: Annotated[Literal["phone", "dslr"], "Whose."]
    photo: Annotated[str, "Photo."]
    reason: Annotated[PairReason, "Why."]
    message: Annotated[str | None, "In words."]


class Plan(TypedDict):
    """What a run would take, about; the last five of align alone."""

    pairs: Annotated[Count, "Pairs."]
    todo: Annotated[Count, "Pairs to do."]
    bytes: Annotated[Count, "On disk."]
    seconds: Annotated[Amount, "With the jobs given."]
    worker_gb: Annotated[Amount, "Memory of each worker process, GB."]
    notes: NotRequired[
        Annotated[list[Annotated[str, "A line."]], "What of the folders is left out."]
    ]
    seen: NotRequired[
        Annotated[list[Annotated[str, "A line."]], "What the folders hold."]
    ]
    pairing: NotRequired[Pairing]
    matched: NotRequired[Annotated[list[PlannedPair], "The pairs."]]
    left_over: NotRequired[Annotated[list[LeftOverPhoto], "Photos without partner."]]


class Truth(TypedDict):
    """The geometry of the two simulated cameras that took a demo pair."""

    phone_size: Annotated[Size, "Phone photo."]
    dslr_size: Annotated[Size, "DSLR photo."]
    phone_fov_deg: Annotated[float, "Horizontal field of view, degrees."]
    dslr_fov_deg: Annotated[float, "Likewise."]
    turn_deg: Annotated[
        list[float],
        Meta(min_length=3, max_length=3),
        "Roll, pitch and yaw of the DSLR against the phone, degrees.",
    ]
    distortion: Annotated[
        list[float],
        Meta(min_length=2, max_length=2),
        "Radial distortion, of r^2 and r^4, r = 1 in a corner.",
    ]
    parallax_px: Annotated[float, "Largest smooth displacement, phone px."]
    edge_px: Annotated[float, "Displacement of near objects, phone px."]
    rolling_px: Annotated[float, "Sideways swing of rolling-shutter rows, phone px."]
    relief_seed: Annotated[Count, "Of the scene's depth."]
