"""Patches → pairs of LMDB databases as BasicSR reads them.

`<split>_lq.lmdb` (phone) and `<split>_gt.lmdb` (DSLR) hold a PNG file under each key,
and `meta_info.txt` a line `<key>.png (height,width,3) <PNG level>`.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from dped_build.exchange.encoded_pictures import PNG_LEVEL, png_bytes
from dped_build.exchange.export_files import Output, Written
from dped_build.exchange.patch_json import METADATA, metadata
from dped_build.workspace.durable import writing
from dped_build.workspace.errors import DpedBuildError

SIDES, MASKS = ("lq", "gt"), "valid"
ROWS_A_COMMIT = 256  # what is not committed is held in memory
PAGE = 4096  # bytes; a value fills whole pages
SPARE = 2**24  # bytes, for keys and inner pages
READING = """\
`<split>_lq.lmdb` (phone) and `<split>_gt.lmdb` (DSLR) hold a PNG file under each key,
as BasicSR reads them; `<split>_metadata.jsonl` has a line for each pair. In the options
of a training (both patches are of one size: `scale` is 1):

```yaml
type: PairedImageDataset
dataroot_gt: {split}_gt.lmdb
dataroot_lq: {split}_lq.lmdb
io_backend:
  type: lmdb
```"""


def write(output: Output) -> Written:
    """Write all splits (DpedBuildError: no package lmdb, or a full disk)."""
    for split in output.splits:
        _write_split(output, split)
    masks = "`<split>_valid.lmdb`, under the same keys" if output.source.masked else ""
    return Written(READING.format(split=output.splits[0]), masks)


def _write_split(output: Output, split: str) -> None:
    size, count = output.source.size, output.source.counts()[split]["patches"]
    capacity = count * (4 * size**2 + 2 * PAGE) + SPARE
    sides = (*SIDES, MASKS) if output.source.masked else SIDES
    folders = [output.folder / f"{split}_{side}.lmdb" for side in sides]
    lines = []
    with output.lines(f"{split}_{METADATA}") as append, ExitStack() as stack:
        found = [stack.enter_context(_database(path, capacity)) for path in folders]
        rows = enumerate(output.encoded(split, png_bytes))
        for _, part in groupby(rows, lambda row: row[0] // ROWS_A_COMMIT):
            with ExitStack() as commits:
                writes = [commits.enter_context(d.begin(write=True)) for d in found]
                for _, (patch, *files) in part:
                    for write, data in zip(writes, files, strict=False):
                        write.put(patch.key.encode(), data)
                    append(metadata(patch))
                    lines.append(f"{patch.key}.png ({size},{size},3) {PNG_LEVEL}\n")
    for folder in folders[:2]:
        output.write(f"{folder.name}/meta_info.txt", "".join(lines).encode())


@contextmanager
def _database(folder: Path, capacity: int) -> Iterator[Any]:
    """A database in the making; the folder's publication syncs it."""
    try:
        import lmdb
    except ImportError as error:
        raise DpedBuildError(
            "--format lmdb needs the package lmdb: pip install 'dped-build[lmdb]'"
        ) from error
    try:
        with (
            writing(folder),
            lmdb.open(str(folder), map_size=capacity, lock=False, sync=False) as found,
        ):
            yield found
    except lmdb.Error as error:
        raise DpedBuildError(
            f"{folder.name}: cannot be written ({error}); free space and run again"
        ) from error
