"""Photos pair by their place in the folder, if there are as many of both cameras."""

from pathlib import Path

import pytest

from dped_build.align.pairing.by_order import numbering_gaps, pair_by_order
from dped_build.workspace.errors import DpedBuildError


def photos(head, numbers):
    return [Path(f"{head}{number}.jpg") for number in numbers]


def test_the_first_goes_with_the_first_in_natural_order():
    pairs = pair_by_order(photos("IMG_", (9, 10, 100)), photos("DSC_", (7, 11, 8)))
    assert [(p.name, p.dslr.name) for p in pairs] == [
        ("IMG_9", "DSC_7.jpg"),
        ("IMG_10", "DSC_8.jpg"),
        ("IMG_100", "DSC_11.jpg"),
    ]


def test_folders_come_one_after_the_other():
    phone = [Path("day10/1.jpg"), Path("day2/7.jpg"), Path("day2/8.jpg")]
    pairs = pair_by_order(phone, photos("D", (1, 2, 3)))
    assert {p.name: p.dslr.stem for p in pairs} == {
        "day2-7": "D1",
        "day2-8": "D2",
        "day10-1": "D3",
    }


def test_other_counts_are_refused_with_both_and_where_numbers_are_missing():
    with pytest.raises(DpedBuildError) as error:
        pair_by_order(photos("IMG_", range(1, 6)), photos("DSC_", (11, 12, 14, 15)))
    told = str(error.value)
    assert "5 phone photos, 4 of the DSLR" in told
    assert "DSLR between DSC_12 and DSC_14" in told
    assert "phone between" not in told
    assert "--pair-by time or --pair-by sequence" in told


def test_many_gaps_are_counted_and_another_head_is_none():
    names = [f"A_{n:04d}.jpg" for n in range(0, 20, 2)] + ["B_0090.jpg", "C.jpg"]
    gaps = numbering_gaps([Path(name) for name in names])
    assert len(gaps) == 9
    assert gaps[0] == ("A_0000", "A_0002")
    with pytest.raises(DpedBuildError, match="and 6 more"):
        pair_by_order([Path(name) for name in names], photos("D", (1,)))
