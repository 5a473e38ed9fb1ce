"""Worker processes keep what they free, and ask for huge pages."""

import platform
import subprocess
import sys

import pytest

from dped_build.parallel.memory import with_huge_pages

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc can be told"
)
ROUNDS = """
import resource
import numpy as np
from dped_build.parallel.memory import keep_freed_memory

def round():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = [np.ones(2**18) for _ in range(8)]  # 2 MB each
    del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

{first}
round()
print(max(round() for _ in range(5)))
"""


def _page_faults(first: str) -> int:
    told = subprocess.run(
        [sys.executable, "-c", ROUNDS.format(first=first)],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(told.stdout)


def test_what_is_freed_is_taken_again_without_new_pages() -> None:
    assert _page_faults("pass") > 1000
    assert _page_faults("keep_freed_memory()") < 50


def test_tunables_that_the_user_has_set_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.check=3")
    told = with_huge_pages()["GLIBC_TUNABLES"].split(":")
    assert told == ["glibc.malloc.check=3", "glibc.malloc.hugetlb=1"]


HEAP = """
import numpy as np
from dped_build.parallel.memory import keep_freed_memory, lay_heap_in_huge_pages

keep_freed_memory()
lay_heap_in_huge_pages()
array = np.empty(2**21, np.uint8)  # NumPy asks for its own from 4 MB on
middle = array.ctypes.data + array.nbytes // 2
for line in open("/proc/self/smaps"):
    first, *rest = line.split()
    if "-" in first:
        begin, end = (int(part, 16) for part in first.split("-"))
        heap = "[heap]" in rest
    if first == "VmFlags:" and begin <= middle < end:
        print(heap, "hg" in rest)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_arrays_of_a_process_that_has_begun_lie_in_a_heap_of_huge_pages() -> None:
    command = [sys.executable, "-c", HEAP]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stdout == "True True\n"
