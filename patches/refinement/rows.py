"""Records of arrays with one row a window."""

from dataclasses import Field, fields, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray


class Rows:
    """A dataclass whose fields are arrays, filled strip by strip."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def put(self, rows: NDArray[np.intp] | slice, part: Self) -> None:
        """Write those of some windows into their rows."""
        for field in fields(self):
            getattr(self, field.name)[rows] = getattr(part, field.name)

    def rows(self, chosen: NDArray[np.intp] | slice) -> Self:
        """Of the windows that `chosen` numbers."""
        names = (field.name for field in fields(self))
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})
