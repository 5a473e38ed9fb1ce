"""Inspect torch's files without torch: zip archives of raw bytes and one pickle.

torch compares no checksum when it loads: a flipped bit is another weight to it.
"""

import pickletools
import zipfile
from collections.abc import Collection
from pathlib import Path

from dped_build.workspace.json_files import MAX_DOCUMENT

ZIP = b"PK\3\4"
PICKLE = "data.pkl"  # of an archive, in its one folder
MEMO = ("BINPUT", "LONG_BINPUT")  # between a key and its value


def is_sound_archive(path: Path) -> bool:
    """Whether a zip archive holds, as torch writes it, what its checksums state.

    Read a piece at a time, and no more than the file's size.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            file.seek(0)
            if file.read(len(ZIP)) != ZIP:  # by which torch tells
                return False
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                return False
            if any(member.external_attr for member in members):  # torch: a folder
                return False
            if sum(member.file_size for member in members) > path.stat().st_size:
                return False
            return archive.testzip() is None
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile):
        return False


def stated_values(path: Path, keys: Collection[str]) -> dict[str, object]:
    """What first stands behind these keys in an archive's pickle, which is not run.

    Args:
        path: A sound archive.
        keys: Of numbers and texts.

    Raises:
        OSError or ValueError: There is no such archive, no pickle in it, or one longer
            than any of ours.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = (one.filename for one in archive.infolist())
            name = next((name for name in names if Path(name).name == PICKLE), "")
            if not name or archive.getinfo(name).file_size > MAX_DOCUMENT:
                raise ValueError("not a torch file of ours")
            data = archive.read(name)
    except zipfile.BadZipFile as error:
        raise ValueError(str(error)) from error
    found: dict[str, object] = {}
    key = None
    for operation, value, _ in pickletools.genops(data):
        if operation.name in MEMO:
            continue
        if key is not None:
            found.setdefault(key, value)
        key = value if isinstance(value, str) and value in keys else None
    return found
