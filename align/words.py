"""How numbers are told."""


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun: `1 pair`, `2,000 pairs`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def size_text(number: float) -> str:
    """Bytes as people read them, in powers of 1000: `3.4 GB`."""
    for unit in ("B", "kB", "MB"):
        if number < 999.5:  # else three digits would say 1000
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} GB"
