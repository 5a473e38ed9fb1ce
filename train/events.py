"""TensorBoard event files of scalars and pictures.

TensorBoard's own writer loads TensorFlow wherever it is installed, and puts the name of
the machine into the file's; its record format is all that is needed.
"""

import time
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter


class EventFile:
    """One `events.*` file of a run folder, which may hold one per start of the run."""

    def __init__(self, folder: Path, *, start: int) -> None:
        """Begin after iteration `start`; what older files say of later ones is void.

        The file is made when something is added.
        """
        name = f"events.out.tfevents.{int(time.time())}.{start:09d}"
        self._path, self._start = folder / name, start
        self._records: RecordWriter | None = None

    def close(self) -> None:
        """Close the file."""
        if self._records is not None:
            self._records.close()

    def add(self, iteration: int, values: dict[str, float]) -> None:
        """Add scalars by their tags, such as `val/loss`."""
        scalars = [Summary.Value(tag=t, simple_value=v) for t, v in values.items()]
        self._write(Event(step=iteration, summary=Summary(value=scalars)))

    def add_picture(self, iteration: int, tag: str, png: bytes) -> None:
        """Add a picture, the content of a PNG file."""
        image = Summary.Image(encoded_image_string=png)
        value = Summary.Value(tag=tag, image=image)
        self._write(Event(step=iteration, summary=Summary(value=[value])))

    def _write(self, event: Event) -> None:
        if self._records is None:
            self._records = RecordWriter(self._path.open("ab"))
            session = SessionLog(status=SessionLog.START)
            _put(self._records, Event(file_version="brain.Event:2"))
            _put(self._records, Event(step=self._start + 1, session_log=session))
        _put(self._records, event)
        self._records.flush()


def _put(records: RecordWriter, event: Event) -> None:
    event.wall_time = time.time()
    records.write(event.SerializeToString())
