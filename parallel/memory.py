"""How this process keeps its memory."""

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
