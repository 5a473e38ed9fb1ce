"""How processes keep their memory, where glibc can be told."""

import os
from mmap import PAGESIZE

# Has glibc, from 2.35 on, ask for huge pages: fewer addresses to look up.
_HUGE_PAGES = "glibc.malloc.hugetlb=1"
# mallopt's parameters, and sizes up to which nothing freed goes back to the system.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_KEPT_BYTES, _LARGEST_KEPT = 2**30, 2**25  # in all; of one block, the most it takes
_USUAL_PAD = 2**17  # by which a heap grows
_HUGE_BYTES = 2**27  # of a heap; more takes memory that large photos only touch
_MADV_HUGEPAGE = 14  # Linux


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


def lay_heap_in_huge_pages() -> None:
    """As `with_huge_pages`, of a process that has begun: what its heap grows by now.

    Addresses are reserved, which takes no memory.
    """
    import ctypes

    libc, size = ctypes.CDLL(None), ctypes.c_size_t
    try:
        mallopt, free, madvise = libc.mallopt, libc.free, libc.madvise
        malloc, sbrk = libc.malloc, libc.sbrk
    except AttributeError:  # musl
        return
    malloc.restype = sbrk.restype = ctypes.c_void_p
    begin = -(-sbrk(size(0)) // PAGESIZE) * PAGESIZE
    mallopt(_TOP_PAD, _HUGE_BYTES)
    free(ctypes.c_void_p(malloc(size(_LARGEST_KEPT - PAGESIZE))))
    mallopt(_TOP_PAD, _USUAL_PAD)
    madvise(ctypes.c_void_p(begin), size(sbrk(size(0)) - begin), _MADV_HUGEPAGE)


def with_huge_pages() -> dict[str, str]:
    """Environment of a process whose large arrays lie in huge pages."""
    given = os.environ.get("GLIBC_TUNABLES")
    return {"GLIBC_TUNABLES": f"{given}:{_HUGE_PAGES}" if given else _HUGE_PAGES}
