"""Settings of the patch stage, with their defaults."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from dped_build.workspace.errors import DpedBuildError, UsageError
from dped_build.workspace.field_kinds import require_kinds

MEASURING = ("rule", "size", "max_shift", "min_std")
MEASURING_AS_PAPER = (*MEASURING, "max_rotation")
STORING = ("test_photos", "val_photos", "split_seed", "compress", "shard_patches")
RULES = ("refined", "paper")
TOLERANCE_PX = 0.001  # DSLR px; what other processors may move a patch by
COMPRESSIONS = ("none", "gzip")


@dataclass(frozen=True)
class PatchSettings:
    """How windows are refined and selected, and how photos are split.

    With `rule="paper"` windows are placed and kept as the DPED paper did, by NCC alone:
    `max_sigma`, `max_depth` and `min_valid` are ignored; the search is limited by
    `max_rotation` and the whole part of `max_shift`, at most `paper_rule.MAX_SHIFT`.
    """

    rule: str = "refined"  # or paper: the phone window itself is shifted and rotated
    size: int = 100  # px; DPED's patch
    max_shift: float = 80.0  # phone px at the window's centre
    max_rotation: float = 5.0  # degrees
    min_std: float = 2.0  # grey levels; a flatter window is clipped sky or deep shadow
    min_corr: float = 0.9  # NCC of the stored patches; DPED's rule
    max_sigma: float = 0.25  # phone px; 0 switches both information tests off
    max_depth: float = 0.2  # phone px within a window; 0 switches this test off
    min_valid: float = 0.98  # share of pixels; 0 switches the test off
    max_per_photo: int = 0  # 0 keeps all
    min_sharpness_ratio: float = 0.0  # 0 switches the test off
    min_color_fit: float = 0.0  # dB; 0 switches the test off
    max_clipped: float = 1.0  # share of pixels; 1 switches the test off
    test_photos: int | None = None  # groups; None: min(100, 10 %)
    val_photos: int | None = None  # groups; None: min(100, 5 %)
    split_seed: int = 0
    compress: str = "none"
    shard_patches: int = 4096  # about; a photo's patches stay together where they fit

    def __post_init__(self) -> None:
        """Reject invalid values."""
        require_kinds(self)
        limits = {
            "size": (16, 1024),
            "max_shift": (1, 512),
            "max_rotation": (0, 45),
            "min_std": (0, 255),
            "min_corr": (-1, 1),
            "max_sigma": (0, 100),
            "max_depth": (0, 100),
            "min_valid": (0, 1),
            "max_per_photo": (0, 10**9),
            "min_sharpness_ratio": (0, 100),
            "min_color_fit": (0, 100),
            "max_clipped": (0, 1),
            "shard_patches": (1, 10**6),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                option = "--" + name.replace("_", "-")
                raise UsageError(f"{option} {value}: must be from {low} to {high}")
        for name in ("size", "max_per_photo", "shard_patches"):
            if getattr(self, name) != int(getattr(self, name)):
                option = "--" + name.replace("_", "-")
                raise UsageError(f"{option} {getattr(self, name)}: must be whole")
        for name in ("test_photos", "val_photos"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise UsageError(f"--{name.replace('_', '-')} must not be negative")
        for name, choices in (("rule", RULES), ("compress", COMPRESSIONS)):
            value = getattr(self, name)
            if value not in choices:
                raise UsageError(f"--{name} {value}: choose {' or '.join(choices)}")

    @classmethod
    def from_json(cls, recorded: Mapping[str, Any]) -> "PatchSettings":
        """As a manifest records them; what it does not name is the default.

        Raises:
            DpedBuildError: They are invalid.
        """
        known = {field.name for field in fields(cls)}
        try:
            return cls(**{k: v for k, v in recorded.items() if k in known})
        except (TypeError, ValueError, OverflowError) as error:
            raise DpedBuildError(f"invalid settings ({error})") from error

    def measuring(self) -> dict[str, Any]:
        """The settings that a window's measurements depend on."""
        names = MEASURING_AS_PAPER if self.rule == "paper" else MEASURING
        return {name: getattr(self, name) for name in names}

    def selecting(self) -> dict[str, Any]:
        """The settings that say which of the measured windows are kept."""
        other = (*MEASURING, *STORING)
        return {k: v for k, v in asdict(self).items() if k not in other}

    def to_json(self) -> dict[str, Any]:
        """All settings, as the manifest records them."""
        return asdict(self)
