"""Patches → Parquet files whose pictures the library `datasets` decodes by itself."""

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from dped_build.exchange.encoded_pictures import Encoded, png_bytes
from dped_build.exchange.export_files import ROWS_A_FILE, Output, Written
from dped_build.exchange.patch_source import Patch
from dped_build.patches.records import COLUMNS
from dped_build.workspace.errors import DpedBuildError

ROWS_A_GROUP = 256  # held in memory; divides ROWS_A_FILE
TEXTS = ("key", "split", "pair", "group")
KINDS = {"i4": "int32", "f4": "float32", "f8": "float64"}
READING = """\
`<split>-<number>-of-<count>.parquet`: a row is a pair, its pictures are PNG files.

```python
from datasets import load_dataset

rows = load_dataset("FOLDER", split="{split}")
rows[0]["phone"], rows[0]["dslr"]  # two PIL images
```"""


def write(output: Output) -> Written:
    """Write all splits (DpedBuildError: the package pyarrow is missing)."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise DpedBuildError(
            "--format parquet needs the package pyarrow: "
            "pip install 'dped-build[parquet]'"
        ) from error
    masked = output.source.masked
    schema = _schema(pa, ("phone", "dslr", *(["valid"] if masked else [])))
    for split in output.splits:
        files = -(-output.source.counts()[split]["patches"] // ROWS_A_FILE)
        rows = enumerate(output.encoded(split, png_bytes))
        groups = groupby(rows, lambda row: row[0] // ROWS_A_GROUP)
        for number, part in groupby(
            groups, lambda g: g[0] * ROWS_A_GROUP // ROWS_A_FILE
        ):
            name = f"{split}-{number:05d}-of-{files:05d}.parquet"
            options = {"compression": "none", "write_statistics": False}
            with (
                output.stream(name) as file,
                pq.ParquetWriter(file, schema, **options) as writer,
            ):
                for _, members in part:
                    table = [_row(row) for _, row in members]
                    writer.write_table(pa.Table.from_pylist(table, schema))
    return Written(
        READING.format(split=output.splits[0]),
        masks="the column `valid`, a grey picture" if masked else "",
        data_files={split: f"{split}-*.parquet" for split in output.splits},
    )


def _row(row: Encoded) -> dict[str, Any]:
    pictures = {"phone": row.phone, "dslr": row.dslr}
    if row.valid is not None:
        pictures["valid"] = row.valid
    cells = {
        name: {"bytes": data, "path": f"{row.patch.key}.{name}.png"}
        for name, data in pictures.items()
    }
    return {**cells, **_columns(row.patch)}


def _columns(patch: Patch) -> dict[str, Any]:
    texts = {name: getattr(patch, name) for name in TEXTS}
    return {**texts, **{name: patch.columns[name].tolist() for name in COLUMNS}}


def _schema(pa: Any, pictures: Sequence[str]) -> Any:  # noqa: ANN401
    """The columns' types, for Arrow and as `datasets` states its features."""
    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    types = dict.fromkeys(pictures, picture) | dict.fromkeys(TEXTS, pa.string())
    features: dict[str, Any] = {name: {"_type": "Image"} for name in pictures}
    features |= {name: _value("string") for name in TEXTS}
    for name, (kind, shape) in COLUMNS.items():
        types[name], features[name] = getattr(pa, KINDS[kind])(), _value(KINDS[kind])
        for _ in shape:
            types[name] = pa.list_(types[name])
            features[name] = {"feature": features[name], "_type": "Sequence"}
    stated = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.schema(list(types.items()), metadata=stated)


def _value(kind: str) -> Mapping[str, str]:
    return {"dtype": kind, "_type": "Value"}
