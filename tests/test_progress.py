"""What a training says of itself where there is no terminal."""

import time

from dped_build.train.progress import TrainingProgress


def test_plain_lines_state_rate_and_time_left(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    progress = TrainingProgress(total=1000, start=0, show=True)
    now[0] += 10
    assert progress.due()
    progress.advance(20, {"mse": 0.5})
    told = "20/1000 iterations, 2 it/s, 8 min left, mse 0.5"
    assert told in capsys.readouterr().err
