"""Plain-text tables."""

from collections.abc import Sequence

GAP = "  "


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Align the first column left, the others right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        GAP.join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
