"""A folder of shards → a folder in a format that other tools read."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

from dped_build.exchange.dataset_card import dataset_card
from dped_build.exchange.export_files import Output, Written, sync_all
from dped_build.exchange.export_settings import WITHOUT_MASKS, ExportSettings
from dped_build.exchange.exported_folders import EXPORT_FORMAT
from dped_build.exchange.out_folder import held, out_stage
from dped_build.exchange.patch_source import PatchSource, open_source
from dped_build.parallel.executor import default_jobs
from dped_build.workspace.errors import DpedBuildError
from dped_build.workspace.json_files import json_bytes
from dped_build.workspace.plan import OnProgress, Plan, refuse_full_disk
from dped_build.workspace.stage import (
    created_with,
    fresh_folder,
    publish_folder,
    write_sums,
)

WRITERS = {
    "dped-folders": "dped_folders",
    "png": "png_folders",
    "webdataset": "web_dataset",
    "lmdb": "lmdb_files",
    "parquet": "parquet_files",
}
SHARE = {"png": 0.6, "jpg": 0.4}  # of the raw pixels that files take, at most about
MADE_OF = ("export", "source", "pictures", "quality", "license", "credits")
VERSION = 1


@dataclass(frozen=True)
class ExportSummary:
    """The result of an export."""

    folder: Path
    format: str
    cameras: tuple[str, str]
    size: int
    splits: Mapping[str, Mapping[str, int]]
    excluded: int
    masked_out: int  # patches that need a mask, which the format has not
    psnr_db: float | None  # of the pictures against the patches; None: lossless
    bytes: int
    newly_done: int  # patches


def default_folder(source: Path, form: str) -> Path:
    """Where an export goes: `export/FORMAT` in the workspace, else `SOURCE-FORMAT`."""
    whole = source.resolve() if source.name in ("", "..") else source
    if (source / "patches").is_dir():
        return source / "export" / form
    if whole.name == "patches":
        return whole.parent / "export" / form
    return whole.with_name(f"{whole.name}-{form}")


def export_patches(
    source: Path,
    out: Path | None = None,
    *,
    form: str,
    settings: ExportSettings | None = None,
    jobs: int | None = None,
    force: bool = False,
    progress: OnProgress = lambda done, total: None,
) -> ExportSummary:
    """Write the patches of a folder of shards, or of its workspace, in another format.

    What `exclude.csv` takes out is left out, as training does; so are patches that need
    their mask, where the format has none. The same shards and
    settings give the same bytes. The folder is published as a whole, or not at all; a
    finished export of the same is left as it is, another replaced with `force`.

    Raises:
        DpedBuildError: No patches, damaged ones, another export or somebody's files in
            `out`, a full disk, or a package that is missing.
        UsageError: An option does not fit the format.
    """
    settings = settings or ExportSettings()
    settings.require_fit(form)
    whole = form in WITHOUT_MASKS
    opened = open_source(source, settings.chosen_splits(), whole=whole)
    stated = _stated(opened, form, settings)
    out = out or default_folder(source, form)
    stage = out_stage(out, EXPORT_FORMAT)
    with held(stage):
        previous = None if force else stage.manifest()
        if previous is not None:
            _refuse_other(out, previous, stated)
            return _summary(out, previous, newly_done=0)
        total = sum(split["patches"] for split in stated["splits"].values())
        raw = total * 2 * 3 * opened.size**2
        share = SHARE[stated["pictures"]]
        plan = Plan(total, total, int(raw * share), 0)
        refuse_full_disk(stage.workspace, plan, "choose another --out")
        done = count(1)
        output = Output(
            fresh_folder(stage.build),
            opened,
            settings,
            jobs or default_jobs(),
            lambda: progress(next(done), total),
        )
        try:
            manifest = _fill(output, form, stated)
            publish_folder(stage.build, stage.folder)
        finally:  # gigabytes that nobody would look for
            shutil.rmtree(stage.build, ignore_errors=True)
    return _summary(out, manifest, newly_done=total)


def _fill(output: Output, form: str, stated: Mapping[str, Any]) -> dict[str, Any]:
    """Everything in the folder, its sums last; returns the manifest."""
    module = import_module(f"dped_build.exchange.{WRITERS[form]}")
    written: Written = module.write(output)
    manifest = {
        **stated,
        "psnr_db": None if written.psnr_db is None else round(written.psnr_db, 2),
        "metadata": written.metadata,
    }
    card = dataset_card(
        manifest,
        reading=written.reading,
        masks=written.masks,
        data_files=written.data_files,
    )
    output.write("README.md", card.encode())
    output.write("manifest.json", json_bytes(manifest))
    write_sums(output.folder, output.sums)
    sync_all()
    return manifest


def _stated(source: PatchSource, form: str, settings: ExportSettings) -> dict[str, Any]:
    """The manifest, but for what only the writer knows."""
    dped = form == "dped-folders"
    jpeg = dped and settings.pictures == "jpg"
    return {
        "format": EXPORT_FORMAT,
        "version": VERSION,
        "export": form,
        "phone_camera": source.cameras[0],
        "dslr_camera": source.cameras[1],
        "size": source.size,
        "splits": source.counts(),
        "excluded": source.excluded,
        "masked_out": source.masked_out,
        "pictures": settings.pictures if dped else "png",
        "quality": settings.quality if jpeg else None,
        "license": settings.license,
        "credits": settings.credits,
        "source": {
            "dataset_id": source.manifest.get("dataset_id"),
            "rows": {name: found.identity for name, found in source.datasets.items()},
            "settings": source.manifest.get("settings", {}),
        },
        "created_with": created_with(),
    }


def _refuse_other(
    out: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]
) -> None:
    """Stop where a finished folder is another export."""
    different = [name for name in MADE_OF if found.get(name) != wanted[name]]
    if different:
        what = {"source": "other patches", "export": "another format"}
        other = what.get(different[0], f"another --{different[0]}")
        raise DpedBuildError(
            f"{out}: holds an export with {other}; add --force to replace it, or "
            "choose another --out"
        )


def _summary(
    out: Path, manifest: Mapping[str, Any], *, newly_done: int
) -> ExportSummary:
    try:
        return ExportSummary(
            out,
            manifest["export"],
            (manifest["phone_camera"], manifest["dslr_camera"]),
            manifest["size"],
            manifest["splits"],
            manifest["excluded"],
            manifest.get("masked_out", 0),
            manifest["psnr_db"],
            sum(path.stat().st_size for path in out.rglob("*") if path.is_file()),
            newly_done,
        )
    except KeyError as error:
        raise DpedBuildError(
            f"{out}: its manifest is damaged (no {error}); add --force to export again"
        ) from error
