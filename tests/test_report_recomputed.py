"""report.json is counted again from the shards and windows.h5 with NumPy alone."""

import csv
import json
import shutil
from collections import Counter

import h5py
import numpy as np
import pytest
from report_fixture import make_many

from dped_build.report import write_report

MEASURES = (
    "rotation_deg",
    "sigma_px",
    "depth_px",
    "sharpness_ratio",
    "color_fit_psnr",
    "clipped_phone",
    "clipped_dslr",
)
TRUSTED = ("accepted", "depth_edge", "low_valid")


@pytest.fixture(scope="module", params=["real", "many"])
def workspace(request, tmp_path_factory):
    """Patches that the stages cut from photos, and a larger set made up."""
    folder = tmp_path_factory.mktemp("workspace") / "w"
    if request.param == "many":
        make_many(folder, 300, crops=1)
    else:
        shutil.copytree(request.getfixturevalue("patched_set"), folder)
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def report(workspace):
    return json.loads((workspace / "report" / "report.json").read_text())


@pytest.fixture(scope="module")
def windows(workspace):
    """The columns of windows.h5, texts decoded."""
    with h5py.File(workspace / "patches" / "windows.h5") as file:
        columns = {name: file[name][:] for name in file}
    for name in ("pair", "reason", "status"):
        columns[name] = np.array([text.decode() for text in columns[name]])
    columns["kept"] = columns["status"] == "accepted"
    assert 0 < columns["kept"].sum() < len(columns["kept"])
    return columns


@pytest.fixture(scope="module")
def shards(workspace):
    """Of every shard its split, the pair and the place of each patch, and its NCC."""
    found = []
    for path in sorted((workspace / "patches").glob("*-[0-9]*.h5")):
        with h5py.File(path) as file:
            photos = [text.decode() for text in file["photos"][:]]
            pairs = [photos[at] for at in file["photo"][:]]
            places = [tuple(xy) for xy in file["window_xy"][:].tolist()]
            found.append((file.attrs["split"], pairs, places, file["ncc"][:]))
            assert len(file["phone"]) == len(file["dslr"]) == len(pairs)
    return found


def test_patches_and_photos_of_each_split_are_those_of_the_shards(report, shards):
    patches, photos = Counter(), {}
    for split, pairs, _, _ in shards:
        patches[split] += len(pairs)
        photos.setdefault(split, set()).update(pairs)
    for split, stated in report["patches"]["splits"].items():
        assert stated["patches"] == patches[split]
        assert stated["photos"] == len(photos.get(split, ()))
    assert report["patches"]["stored"] == sum(patches.values())
    assert report["patches"]["shards"] == len(shards)


def test_accepted_windows_are_the_stored_patches(report, windows, shards):
    kept = windows["kept"]
    measured = Counter(
        zip(
            windows["pair"][kept].tolist(),
            map(tuple, windows["window_xy"][kept].tolist()),
            strict=True,
        )
    )
    stored = Counter()
    for _, pairs, places, _ in shards:
        stored.update(zip(pairs, places, strict=True))
    assert measured == stored
    assert report["windows"]["accepted"] == stored.total() == kept.sum()


def test_every_outcome_is_counted(report, windows):
    stated = report["windows"]
    assert stated["candidates"] == len(windows["ncc"])
    assert stated["reasons"] == Counter(windows["reason"][~windows["kept"]].tolist())
    share = windows["kept"].mean()
    assert stated["accepted_share"] == pytest.approx(share, abs=1e-6)


def test_ncc_histograms_hold_every_measured_window(report, windows, shards):
    ncc, kept = windows["ncc"].astype(np.float64), windows["kept"]
    edges = np.linspace(0, 1, 51)
    stated = report["windows"]["ncc"]
    assert stated["measured"] == np.isfinite(ncc).sum()
    for name, chosen in (("accepted", kept), ("rejected", ~kept)):
        values = np.clip(ncc[chosen & np.isfinite(ncc)], 0, 1)
        counts, _ = np.histogram(values, edges)
        assert stated[name]["counts"] == counts.tolist()
        assert stated[name]["edges"] == pytest.approx(edges)
    stored = np.concatenate([ncc for *_, ncc in shards]).astype(np.float64)
    assert stated["accepted"]["counts"] == np.histogram(stored, edges)[0].tolist()


def test_thresholds_by_ncc_alone_count_the_windows_above(report, windows):
    ncc = windows["ncc"]
    above = report["windows"]["ncc"]["above"]
    assert [row["threshold"] for row in above] == [0.80, 0.85, 0.90, 0.95, 0.97]
    for row in above:
        count = (ncc > np.float32(row["threshold"])).sum()
        assert row["windows"] == count
        assert row["share"] == pytest.approx(count / len(ncc), abs=1e-6)


def test_a_stricter_threshold_would_keep_the_accepted_above_it(report, windows):
    stated = report["windows"]
    best = windows["ncc"][windows["kept"]]
    rows = [
        row
        for row in stated["what_if"]["min_corr"]
        if row["value"] >= stated["min_corr"]
    ]
    assert rows
    for row in rows:
        count = (best > np.float32(row["value"])).sum()
        assert row["accepted"] == count
        assert row["change"] == count - len(best)


def test_lenient_values_of_an_option_never_accept_less_than_strict_ones(report):
    what_if = report["windows"]["what_if"]
    strict = [row["accepted"] for row in what_if["min_corr"]]
    assert strict == sorted(strict, reverse=True)
    for option in what_if["options"]:
        accepted = [row["accepted"] for row in option["values"]]
        assert accepted == sorted(accepted, reverse=True)


def test_spreads_are_the_quantiles_of_the_accepted(report, windows):
    kept = windows["kept"]
    shift = np.linalg.norm(windows["shift_px"].astype(np.float64), axis=1)
    columns = {"ncc": windows["ncc"], "shift_length_px": shift}
    columns |= {name: windows[name] for name in MEASURES if name in windows}
    spreads = report["windows"]["accepted_spread"]
    assert spreads.keys() <= columns.keys()
    for name, column in columns.items():
        values = column[kept].astype(np.float64)
        values = values[np.isfinite(values)]
        if not len(values):
            assert name not in spreads
            continue
        stated = spreads[name]
        assert stated["n"] == len(values)
        assert stated["median"] == pytest.approx(np.median(values), abs=2e-6)
        assert stated["p05"] == pytest.approx(np.quantile(values, 0.05), abs=2e-6)
        assert stated["max"] == pytest.approx(values.max(), abs=2e-6)


def test_histograms_hold_every_accepted_window_once(report, windows):
    kept = windows["kept"]
    columns = {
        "shift": np.linalg.norm(windows["shift_px"], axis=1),
        "rotation": windows["rotation_deg"],
        "sigma": windows["sigma_px"],
    }
    for name, column in columns.items():
        stated = report["windows"]["accepted_histograms"][name]
        values = column[kept].astype(np.float64)
        values = np.clip(values, stated["edges"][0], stated["edges"][-1])
        counts, _ = np.histogram(values[np.isfinite(values)], stated["edges"])
        assert sum(stated["counts"]) == np.isfinite(values).sum()
        assert np.abs(np.array(stated["counts"]) - counts).sum() <= 2  # rounded edges


def test_rows_of_the_table_count_their_own_windows(report, windows, workspace):
    with (workspace / "report" / "pairs.csv").open(newline="") as file:
        lines = {line["pair"]: line for line in csv.DictReader(file)}
    for row in report["table"]:
        mine = windows["pair"] == row["pair"]
        if row["status"] != "aligned":
            assert row["windows"] is row["accepted"] is None
            continue
        assert row["windows"] == mine.sum()
        assert row["accepted"] == (mine & windows["kept"]).sum()
        assert lines[row["pair"]]["accepted"] == str(row["accepted"])
        sharpness = windows["sharpness_ratio"][mine]
        sharpness = sharpness[np.isfinite(sharpness)].astype(np.float64)
        if len(sharpness):
            median = float(np.median(sharpness))
            assert row["sharpness_ratio"] == pytest.approx(median, abs=6e-4)
        trusted = mine & np.isin(windows["reason"], TRUSTED)
        if trusted.sum() < 5:
            assert row["parallax_px"] is None
            continue
        moved = windows["shift_px"][trusted].astype(np.float64)
        moved -= np.median(moved, axis=0)
        along = moved @ np.linalg.svd(moved, full_matrices=False)[2][0]
        low, high = np.quantile(along, (0.05, 0.95))
        assert row["parallax_px"] == pytest.approx(high - low, abs=0.0501)


def test_pairs_are_counted_as_the_alignment_has_them(report, workspace):
    lines = (workspace / "aligned" / "alignment.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    status = Counter(record["status"] for record in records)
    stated = report["pairs"]
    assert stated["records"] == len(records)
    assert [stated[name] for name in ("aligned", "rejected", "failed")] == [
        status[name] for name in ("aligned", "rejected", "failed")
    ]
    lost = stated["lost_before_pairing"] | stated["lost_in_alignment"]
    assert lost == Counter(record["reason"] for record in records if record["reason"])


def test_windows_by_outcome_are_the_same_in_the_csv(report, workspace):
    with (workspace / "report" / "windows.csv").open(newline="") as file:
        counts = {row["outcome"]: int(row["windows"]) for row in csv.DictReader(file)}
    windows = report["windows"]
    assert counts == {"accepted": windows["accepted"], **windows["reasons"]}


def test_the_panels_windows_are_those_of_windows_h5(report, windows, workspace):
    shown = [row for row in report["table"] if row.get("script")]
    assert shown
    for row in shown:
        text = (workspace / "report" / row["script"]).read_text()
        number, data = text.removeprefix("dpedBuildWindows(").split(",", 1)
        found = json.loads(data.removesuffix(");\n"))
        assert report["table"][int(number)] == row
        mine = np.flatnonzero(windows["pair"] == row["pair"])
        places = np.transpose([found["x"], found["y"]])
        np.testing.assert_array_equal(places, windows["window_xy"][mine])
        outcomes = [found["outcomes"][at] for at in found["outcome"]]
        assert outcomes == windows["reason"][mine].tolist()
        ncc = [np.nan if value is None else value for value in found["ncc"]]
        np.testing.assert_allclose(ncc, windows["ncc"][mine], atol=6e-5)
