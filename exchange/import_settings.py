"""Every choice of the import of patches, with its default; light, for the options."""

from dataclasses import dataclass, fields

from dped_build.patches.settings import COMPRESSIONS, PatchSettings
from dped_build.patches.split import SPLITS
from dped_build.workspace.errors import UsageError

OF_PAIRED_FOLDERS = ("split", "test_photos", "val_photos", "split_seed")


@dataclass(frozen=True)
class ImportSettings:
    """Which folder is which camera's, and how pseudo-photos are split."""

    phone: str | None = None  # name of the phone's folder; None: the other one
    dslr: str | None = None  # None: recognised by its name
    split: str | None = None  # puts everything into one split
    test_photos: int | None = None  # pseudo-photos; None: min(100, 10 %)
    val_photos: int | None = None  # pseudo-photos; None: min(100, 5 %)
    split_seed: int = 0
    compress: str = "none"
    shard_patches: int = PatchSettings.shard_patches

    def __post_init__(self) -> None:
        """Refuse options that contradict each other."""
        for name, choices in (("split", (None, *SPLITS)), ("compress", COMPRESSIONS)):
            if getattr(self, name) not in choices:
                known = ", ".join(filter(None, choices))
                raise UsageError(
                    f"--{name} {getattr(self, name)}: choose one of {known}"
                )
        for name in ("test_photos", "val_photos"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise UsageError(f"--{name.replace('_', '-')} must not be negative")
        drawn = self.changed(("test_photos", "val_photos", "split_seed"))
        if self.split and drawn:
            raise UsageError(f"--split {self.split} leaves nothing for {drawn} to draw")
        if self.phone and self.phone == self.dslr:
            raise UsageError("--phone and --dslr name the same folder")

    def changed(self, names: tuple[str, ...] | None = None) -> str | None:
        """The first option of `names` (all) that is not as by default, as typed."""
        for field in fields(self):
            chosen = names is None or field.name in names
            if chosen and getattr(self, field.name) != field.default:
                return "--" + field.name.replace("_", "-")
        return None

    def stated_split(self) -> str:
        """How paired folders are split, as the manifest records it."""
        if self.split:
            return f"all {self.split}"
        test, val = (
            "default" if number is None else number
            for number in (self.test_photos, self.val_photos)
        )
        return f"drawn: test photos {test}, val photos {val}, seed {self.split_seed}"
