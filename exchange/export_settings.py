"""Every choice of an export, with its default; light, for the options."""

from dataclasses import dataclass, fields

from dped_build.patches.split import SPLITS
from dped_build.photos.settings import PICTURE_BITS
from dped_build.workspace.errors import UsageError

PATCH_FORMATS = ("dped-folders", "png", "webdataset", "lmdb", "parquet")
WITHOUT_MASKS = ("dped-folders",)  # they take the patches that need none
TABLE_FORMATS = ("csv",)
FRAMES = "frames"
MODEL_FORMATS = ("onnx",)
FORMATS = (*PATCH_FORMATS, FRAMES, *TABLE_FORMATS, *MODEL_FORMATS)
PRECISIONS = ("fp32", "fp16")
PICTURES = ("jpg", "png")
OWN_OPTIONS = {  # what only some formats have
    "splits": (*PATCH_FORMATS, FRAMES),
    "license": (*PATCH_FORMATS, FRAMES),
    "credits": (*PATCH_FORMATS, FRAMES),
    "jobs": (*PATCH_FORMATS, FRAMES),
    "bits": (FRAMES,),
    "pictures": ("dped-folders",),
    "quality": ("dped-folders",),
    "precision": MODEL_FORMATS,
}


@dataclass(frozen=True)
class ExportSettings:
    """What is exported, how pictures are coded, and what the card states."""

    splits: str = ",".join(SPLITS)
    pictures: str = "jpg"  # of dped-folders: the original's kind; png loses nothing
    quality: int = 95  # of those JPEG files
    bits: int = 8  # of a colour, of frames
    license: str | None = None  # as typed; None: not stated
    credits: str | None = None
    precision: str = "fp32"  # of models

    def __post_init__(self) -> None:
        """Refuse values that no format takes."""
        names = self.splits.split(",")
        if len(set(names)) < len(names) or not set(names) <= set(SPLITS):
            known = ", ".join(SPLITS)
            raise UsageError(
                f"--splits {self.splits}: choose from {known}, separated by commas"
            )
        if self.pictures not in PICTURES:
            raise UsageError(f"--pictures {self.pictures}: {' or '.join(PICTURES)}")
        if not 1 <= self.quality <= 100:
            raise UsageError("--quality must be from 1 to 100")
        if self.pictures == "png" and self.quality != type(self).quality:
            raise UsageError("--quality is for JPEG: leave --pictures at jpg")
        if self.bits not in PICTURE_BITS:
            raise UsageError(f"--bits {self.bits}: 8 or 16")
        if self.precision not in PRECISIONS:
            raise UsageError(f"--precision {self.precision}: {' or '.join(PRECISIONS)}")

    def chosen_splits(self) -> list[str]:
        """The splits to export, in the order of all."""
        return [name for name in SPLITS if name in self.splits.split(",")]

    def require_fit(self, form: str) -> None:
        """Refuse options that do not apply to `form` (UsageError)."""
        for field in fields(self):
            if getattr(self, field.name) != field.default:
                require_option(field.name, form)


def fits(name: str, form: str) -> bool:
    """Whether an option applies to this format."""
    return form in OWN_OPTIONS[name]


def require_option(name: str, form: str) -> None:
    """Refuse an option that applies to other formats only (UsageError)."""
    if not fits(name, form):
        forms = ", ".join(OWN_OPTIONS[name])
        raise UsageError(f"--{name} is for --format {forms}, not for {form}")
