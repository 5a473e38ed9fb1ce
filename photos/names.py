"""What cameras, galleries and editors mean by a file's name.

Which files are one shot (RAW beside JPEG), which are edits or copies of another, and
which folders hold thumbnails or what was thrown away. Names alone; nothing is opened.
"""

import re
from collections.abc import Collection
from pathlib import Path
from unicodedata import normalize

ENHANCED = "-enhanced"  # follows the photo's name in that of `enhance`'s result
SYSTEM_FOLDERS = {  # of network storage, systems and photo programs
    *("@eadir", "@tmp", "@recycle", "@__thumb", "@recently-snapshot", "@sharebin"),
    *("#recycle", "#snapshot", "$recycle.bin", "recycler", "recycled", "recycle"),
    *("recycle bin", "trash", "trashbox", "files_trashbin", "files_versions"),
    *("lost+found", "lost.dir", "found.000", "system volume information", "__macosx"),
    *("network trash folder", "temporary items", "thumbnails", "_thumbs", "thumbs"),
    *("thmbnl", "@transcode"),
}
# Of programs: previews, and what only they know the names of.
PROGRAM_FOLDERS = (".lrdata", ".lrlibrary", ".cocatalogdb", ".photoslibrary")

# Folders and endings of names that say no more than the kind of file.
_KINDS = {
    *("jpg", "jpeg", "heic", "heif", "hif", "png", "tif", "tiff", "webp", "avif"),
    *("raw", "dng", "cr2", "cr3", "crw", "nef", "nrw", "arw", "sr2", "srw", "raf"),
    *("orf", "rw2", "rwl", "pef", "3fr", "iiq", "gpr", "x3f"),
}
_WORD = re.compile(r"[^\W_]+")
_PIXEL_PART = re.compile(r"\.[a-z_]+-\d\d\.(mp\.)?(cover|original)$|\.mp$")
_LUMIA_RAW = "__highres"
_ENDING = re.compile(r"[-_ .]([a-z0-9]+)$")

_EDITED = "|".join(  # what galleries append, in their languages, and editors
    (
        *("edited", "edit", "bearbeitet", "modifié", "modifiée", "modifier", "editado"),
        *("editada", "editar", "editat", "modificato", "modificata", "modifica"),
        *("bewerkt", "edytowane", "edytowany", "upraveno", "upravené", "redigeret"),
        *("redigerad", "redigera", "redigert", "muokattu", "düzenlendi", "изменено"),
        *("szerkesztett", "отредактировано", "відредаговано", "編集済み", "編集"),
        *("已修改", "已编辑", "已編輯", "编辑", "編輯", "수정됨", "편집"),
        *("effects", "collage", "animation", "pano", "smile", "mix", "pop_out", "hdr"),
        *("cinematic", "retouched", "cropped", "resized", "rotated", "filtered"),
        *("enhanced(?:-[ns]r)?", "dxo(?:[-_ ][a-z0-9]+)*", "snapseed(?:copy)?"),
    )
)
_COPY = (
    "copy|kopie|kopi|kopia|kopio|kopya|copie|copia|cópia|копия|копія|コピー|副本|사본|"
    "duplicate|duplikat"
)
_EDITS = (  # of a casefolded stem: what finds an edit, and its original's stem
    (re.compile(rf"(.+?)[-_ (]+({_EDITED})\)?([-_ ]\d+)?"), r"\1"),
    (re.compile(r"(img_)e(\d{4,})"), r"\1\2"),  # Apple's
    (re.compile(r"(.+\.[a-z_]+)-01\.(?:mp\.)?cover"), r"\1-02.original"),  # Pixel's
    (re.compile(r"\d+d?portrait_\d+_(burst\d+)(?:_cover)?"), r"00000portrait_00000_\1"),
)
_COPIES = (
    (re.compile(r"(.+?)[-_ ]?[(\[]\d{1,3}[)\]]"), r"\1"),
    (re.compile(r"(.+?) \d{1,2}"), r"\1"),  # macOS
    (re.compile(r"(.+?)~\d{1,2}"), r"\1"),  # Android
    (
        re.compile(rf"(.+?)[-_ (の的]+(another |\d[a-z]+ )?({_COPY})( \d+)?\)?"),
        r"\1",
    ),
    (
        re.compile(rf"(?:{_COPY})(?: \(\d+\))? (?:of|von|van|de|di|av|af) (.+)"),
        r"\1",
    ),
)
_DASH = re.compile("[\u2013\u2014]")
MAX_STEPS = 3  # an edit of a copy of a copy


def loose(name: str) -> str:
    """A name as names are compared where case and accents' coding do not count."""
    return normalize("NFC", name).casefold()


def shot_key(photo: Path) -> tuple[str, ...]:
    """The same for all files of one shot: relative path without what names a kind."""
    parts = [_without_kinds(part) for part in photo.parent.parts]
    return (*filter(None, parts), shot_stem(photo.stem))


def shot_name(photo: Path) -> str:
    """`shot_key` as one name: JPG/PXL_1.RAW-01.COVER.jpg is `pxl_1`."""
    return "-".join(shot_key(photo))


def shot_stem(stem: str) -> str:
    """The part of a file's stem that its RAW and its JPEG share."""
    name = _PIXEL_PART.sub("", loose(stem)).removesuffix(_LUMIA_RAW)
    ending = _ENDING.search(name)  # DSC_0001.NEF.jpg, IMG_1_RAW.dng
    return name[: ending.start()] or name if ending and ending[1] in _KINDS else name


def _without_kinds(folder: str) -> str:
    """`100CANON_RAW` as `100canon`, `JPG` as nothing."""
    words = _WORD.findall(loose(folder))
    others = [word for word in words if word.removesuffix("s") not in _KINDS]
    return " ".join(others) if len(others) < len(words) else loose(folder)


def is_system_folder(name: str) -> bool:
    """Whether a folder holds thumbnails, snapshots or what was thrown away."""
    plain = name.casefold()
    hidden = plain.startswith(".")
    return hidden or plain in SYSTEM_FOLDERS or plain.endswith(PROGRAM_FOLDERS)


def is_enhanced(photo: Path) -> bool:
    """Whether `enhance` wrote it."""
    return photo.stem.endswith(ENHANCED)


def original_of(stem: str, known: Collection[str]) -> tuple[str, str] | None:
    """Which of the stems `known` a name is an edit or a copy of, and which of both.

    Args:
        stem: Of a file.
        known: Stems of the files beside it, as `loose` gives them.

    Returns:
        ("edit" or "copy", the original's stem); None where it is neither.
    """
    name, what = _DASH.sub("-", loose(stem)), ""
    for _ in range(MAX_STEPS):
        step = _step(name)
        if step is None:
            return None
        what, name = "edit" if "edit" in (what, step[0]) else "copy", step[1]
        if name in known:
            return what, name
    return None


def _step(name: str) -> tuple[str, str] | None:
    for what, patterns in (("edit", _EDITS), ("copy", _COPIES)):
        for pattern, original in patterns:
            found = pattern.fullmatch(name)
            if found:
                return what, found.expand(original)
    return None
