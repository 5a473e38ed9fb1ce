"""What is wrong with a set must be said, and nothing where nothing is."""

import json
import shutil

import pytest
from msgspec.structs import replace
from report_fixture import Lost, make_workspace

from dped_build.patches import PatchSettings, build_shards
from dped_build.report import summary_text, write_report
from dped_build.report.advice import (
    depth_warnings,
    photo_warnings,
    run_warnings,
    window_warnings,
)
from dped_build.report.record import (
    NamedPair,
    OptionValues,
    OtherValue,
    PairRow,
    SearchLimits,
    WhatIf,
    WindowCounts,
)
from dped_build.report.run_curves import training_run
from dped_build.report.workspace_reader import Run
from dped_build.workspace.errors import DpedBuildError

LIMITS = SearchLimits(
    max_shift_px=8, max_rotation_deg=5, measured=100, shift=0, rotation=0, share=0
)


def row(pair, **changes):
    """A good photo, but for what is changed."""
    good = dict.fromkeys(PairRow.__struct_fields__) | {
        "status": "aligned",
        "inlier_rmse_px": 0.6,
        "sharpness_ratio": 1.4,
        "judged": 100,
        "accepted": 90,
    }
    return PairRow(**good | {"pair": pair} | changes)


def table(*changes):
    """Ten good photos, the first ones changed."""
    return [row(f"{n}", **(changes[n] if n < len(changes) else {})) for n in range(10)]


def windows(**changes):
    """Good windows, but for what is changed."""
    good = dict.fromkeys(WindowCounts.__struct_fields__) | {
        "limits": LIMITS,
        "rule": "refined",
        "judged": 100,
        "accepted": 90,
        "accepted_share": 0.9,
        "reasons": {"low_ncc": 10},
        "clipped_share": 0.0,
    }
    return WindowCounts(**good | changes)


def texts(folder):
    return [advice.text for advice in write_report(folder).report.warnings]


def test_good_photos_need_no_word():
    assert photo_warnings(table()) == []
    assert window_warnings(windows()) == []


@pytest.mark.parametrize(
    "change, said, message",
    [
        ({"inlier_rmse_px": 16.6}, "1 pair aligned only roughly", "RMSE 16.6 px"),
        ({"accepted": 40}, "1 photo may be worth reshooting", "40% accepted"),
        ({"accepted": 0}, "1 aligned pair gave no patches", None),
    ],
)
def test_a_bad_photo_is_named(change, said, message):
    (warning,) = photo_warnings(table(change))
    assert warning.text.startswith(said)
    assert warning.pairs == [NamedPair("0", message)]
    assert warning.sort


def test_a_photo_taken_out_by_hand_is_no_problem():
    assert photo_warnings(table({"judged": 0, "accepted": 0})) == []


def test_a_softer_dslr_is_told():
    (warning,) = photo_warnings(table(*[{"sharpness_ratio": 0.8}] * 6))
    assert "less fine detail than the phone in 6 of 10 photos" in warning.text


@pytest.mark.parametrize(
    "change, said",
    [
        ({"accepted_share": 0.04}, "Only 4.0% of the windows were accepted; most"),
        ({"clipped_share": 0.31}, "31% of the accepted windows have more than 10%"),
    ],
)
def test_a_bad_set_is_told(change, said):
    (text,) = window_warnings(windows(**change))
    assert text.startswith(said)


def masks_would_keep(change):
    values = [OtherValue(value=0.5, accepted=60 + change, share=0.6, change=change)]
    return WhatIf([], [OptionValues(option="--min-valid", now=0.98, values=values)])


LOST = {"low_valid": 20, "uncertain": 9, "low_ncc": 8, "depth_edge": 3}


@pytest.mark.parametrize("gain", [0, 17])
def test_what_depth_costs_is_told(gain):
    deep = table(*[{"parallax_px": 24.0}] * 6, *[{"parallax_px": 2.0}] * 3)
    lossy = windows(accepted=60, reasons=LOST, what_if=masks_would_keep(gain))
    (warning,) = depth_warnings(lossy, deep)
    assert warning.text.startswith("80% of the refused windows are lost to depth")
    assert "parallax 24 px" in warning.text
    assert ("--min-valid 0.5 to keep 17 more" in warning.text) == (gain > 0)
    assert warning.sort == "parallax_px"


def test_losses_are_not_called_depth_where_little_is_displaced_or_lost():
    flat, deep = table(*[{"parallax_px": 2.0}] * 10), table(*[{"parallax_px": 24.0}])
    lossy = windows(accepted=60, reasons=LOST)
    assert depth_warnings(lossy, flat) == depth_warnings(lossy, table()) == []
    assert depth_warnings(windows(reasons={"uncertain": 10}), deep) == []
    (masks,) = depth_warnings(replace(lossy, what_if=masks_would_keep(17)), flat)
    assert "show the same" in masks.text


def test_the_papers_own_limit_needs_no_advice():
    limits = replace(LIMITS, shift=40, share=0.4)
    assert window_warnings(windows(limits=limits, rule="paper")) == []
    assert len(window_warnings(windows(limits=limits))) == 1


def test_a_run_that_is_worse_than_the_phone_is_told():
    run = Run("r", {}, [{"iteration": 10, "psnr": 18.0}], [])
    (text,) = run_warnings([training_run(run, phone={"psnr": 19.2})])
    assert "below the 19.2 of the unchanged phone photos" in text
    assert run_warnings([training_run(run, phone={"psnr": 17.5})]) == []


def test_pairs_of_different_scenes_are_told(tmp_path):
    lost = [Lost(f"9{n}", "too_few_matches") for n in range(3)]
    said = texts(make_workspace(tmp_path / "w", list("abcdef"), lost=lost))
    assert any(text.startswith("3 of 9 pairs show different scenes") for text in said)


def test_photos_aligned_after_the_patches_are_not_called_empty(tmp_path):
    folder = make_workspace(tmp_path / "w", ["1", "2"])
    path = folder / "aligned" / "alignment.jsonl"
    lines = path.read_text()
    more = json.loads(lines.splitlines()[0]) | {"pair": "3"}
    path.write_text(lines + json.dumps(more) + "\n")
    report = write_report(folder).report
    assert report.table[2].windows is None
    said = [advice.text for advice in report.warnings]
    assert "1 aligned pair not cut yet: run dped-build patches again" in said
    assert not any("gave no patches" in text for text in said)
    assert report.patches.per_photo == pytest.approx(
        report.patches.stored / 2, abs=1e-3
    )


def test_exclusions_that_the_shards_do_not_heed_yet_are_told(patched_set, tmp_path):
    folder = tmp_path / "w"
    shutil.copytree(patched_set, folder)
    (folder / "exclude.csv").write_text("pair\n10\n")
    settings = PatchSettings(size=64, shard_patches=20)
    said = texts(folder)
    stale = [text for text in said if "that exclude.csv names" in text]
    assert stale[0].endswith("dped-build patches --size 64 --shard-patches 20 --force")
    share = write_report(folder).report.windows.accepted_share
    build_shards(folder, settings=settings, jobs=1, force=True)
    report = write_report(folder).report
    assert not any("exclude.csv" in advice.text for advice in report.warnings)
    rows = {row.pair: row for row in report.table}
    assert (rows["10"].judged, rows["10"].accepted) == (0, 0)
    assert rows["10"].excluded == rows["10"].windows > 0
    assert report.windows.accepted_share == pytest.approx(share, abs=0.1)


def test_an_empty_split_is_told_with_its_cause(patched_set, tmp_path):
    folder = shutil.copytree(patched_set, tmp_path / "w")
    lines = (folder / "patches/split.csv").read_text().splitlines()
    tested = [line.split(",")[0] for line in lines if line.endswith("test")]
    (folder / "exclude.csv").write_text("\n".join(["pair", *tested]))
    settings = PatchSettings(size=64, shard_patches=20)
    build_shards(folder, settings=settings, jobs=1, force=True)
    said = "No test patches: exclude.csv takes out all of its photos"
    assert any(text.startswith(said) for text in texts(folder))
    settings = PatchSettings(size=64, shard_patches=20, test_photos=0)
    (folder / "patches").rename(tmp_path / "earlier")
    build_shards(folder, settings=settings, jobs=1)
    assert any("too few scenes; photograph more" in text for text in texts(folder))


def test_patches_without_their_alignment_have_a_report(patched_set, tmp_path):
    folder = tmp_path / "w"
    shutil.copytree(patched_set / "patches", folder / "patches")
    summary = write_report(folder)
    assert summary.report.windows.frame is None
    assert summary.report.windows.what_if is not None
    assert not any("earlier" in advice.text for advice in summary.report.warnings)
    assert "patches without their alignment" in summary_text(summary.report)


def test_settings_that_cannot_be_meant_are_named(tmp_path):
    folder = make_workspace(tmp_path / "w", ["1"])
    path = folder / "patches" / "manifest.json"
    manifest = json.loads(path.read_text())
    for settings in ({"max_sigma": "far"}, {"rule": "mine"}, {"min_std": [1]}):
        path.write_text(json.dumps(manifest | {"settings": settings}))
        with pytest.raises(DpedBuildError):
            write_report(folder)
