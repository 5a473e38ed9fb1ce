"""Errors that the user can fix.

DpedBuildError          exit 1: one line that says what, which file, and what to do
├── UsageError          exit 2: the command line itself is wrong
└── PhotoError          one photo cannot be used; costs that photo only
    └── PhotoMemoryError    for want of memory: fewer at a time may do

and Interrupted, exit 130, which says how to resume.
"""

NO_MEMORY = "not enough memory"
INTERRUPTED = 130  # exit status


class DpedBuildError(Exception):
    """A failure whose message is one line: what, which file or option, what to do."""


class UsageError(DpedBuildError):
    """The arguments are wrong, regardless of the files."""


class PhotoError(DpedBuildError):
    """A photo that cannot be read; `reason` is its code in `alignment.jsonl`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type["PhotoError"], tuple[str, str]]:
        """Both arguments, so that the error travels back from a worker process."""
        return type(self), (self.reason, str(self))


class UnfitPhotoError(ValueError):
    """A whole photo of a kind that is not read; the text says what to do."""


class PhotoMemoryError(PhotoError):
    """The machine's memory did not suffice to read a photo; another time it may."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM, when resuming takes more than the same command."""
