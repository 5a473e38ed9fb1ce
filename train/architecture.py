"""The architecture of a generator, as settings and model files state it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from dped_build.workspace.errors import DpedBuildError

# What 0 stands for in an `Architecture`; what a model has no use for stays 0.
OWN_SIZES = {
    "dped": {"channels": 64, "blocks": 4, "kernel": 3, "strided_kernel": 0},
    "fast": {"channels": 16, "blocks": 2, "kernel": 3, "strided_kernel": 4},
    "johnson": {"channels": 64, "blocks": 4, "kernel": 3, "strided_kernel": 0},
    "srcnn": {"channels": 0, "blocks": 0, "kernel": 0, "strided_kernel": 0},
}


@dataclass(frozen=True)
class Architecture:
    """The little that builds a generator; sizes of 0 become the model's own.

    Raises:
        DpedBuildError: The model is unknown, or has no use for a size that is given.
    """

    model: str = "dped"  # dped, fast, johnson or srcnn
    channels: int = 0  # of the first layer; fast doubles them at half and quarter size
    blocks: int = 0  # residual blocks
    kernel: int = 0  # side of all kernels but the first, the last and the strided ones
    strided_kernel: int = 0  # side of the fast generator's strided kernels
    prelu: bool = False  # learned slopes in place of ReLU

    def __post_init__(self) -> None:
        """Fill in the model's own sizes."""
        if self.model not in OWN_SIZES:
            known = ", ".join(OWN_SIZES)
            raise DpedBuildError(f"unknown model {self.model!r}; choose from {known}")
        for name, own in OWN_SIZES[self.model].items():
            size = getattr(self, name)
            option = name.replace("_", "-")
            if size < 0:
                raise DpedBuildError(f"--{option} must be 1 or more, not {size}")
            if size and not own:
                raise DpedBuildError(
                    f"model {self.model} has no --{option}; leave the option out"
                )
            object.__setattr__(self, name, size or own)
        if self.prelu and self.model == "srcnn":
            raise DpedBuildError("model srcnn has no --prelu; leave the option out")

    def to_dict(self) -> dict[str, str | int | bool]:
        """As JSON and checkpoints store it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, object]) -> "Architecture":
        """Read back what `to_dict` made; absent keys take their defaults.

        Raises:
            DpedBuildError: A key is unknown or a value has the wrong type.
        """
        expected = {field.name: field.type for field in fields(cls)}
        for name, value in stored.items():
            if expected.get(name) is not type(value):
                raise DpedBuildError(
                    f"not an architecture of this version: {name} = {value!r}; "
                    "use a newer dped-build or a model file that it wrote"
                )
        return cls(**stored)  # type: ignore[arg-type]
