"""How processes keep their memory, where glibc can be told."""

import os

# Has glibc, from 2.35 on, ask for huge pages: fewer addresses to look up.
_HUGE_PAGES = "glibc.malloc.hugetlb=1"
# mallopt's parameters, and sizes up to which nothing freed goes back to the system.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT_BYTES, _LARGEST_KEPT = 2**30, 2**25  # in all; of one block, the most it takes


def keep_freed_memory() -> None:
    """Use again what was freed: pages that come from the system are cleared first.

    A pair takes and frees arrays of some MB hundreds of times. Only glibc can be told.
    """
    import ctypes  # here: --help needs none

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # macOS or musl, …, Windows
        return
    mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
    mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)


def with_huge_pages() -> dict[str, str]:
    """Environment of a process whose large arrays lie in huge pages."""
    given = os.environ.get("GLIBC_TUNABLES")
    return {"GLIBC_TUNABLES": f"{given}:{_HUGE_PAGES}" if given else _HUGE_PAGES}
