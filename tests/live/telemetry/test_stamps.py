"""When windows passed each point of the way, as the notes of callbacks tell."""

from __future__ import annotations

import numpy as np

from streamer.live.realtime.callbacks import LOG
from streamer.live.telemetry.latency import LatencyLog
from streamer.live.telemetry.stamps import WAITING_WINDOWS, Stamps
from streamer.pipeline.schedule import Schedule
from streamer.pipeline.windows import Window
from streamer.pipeline.worker import WindowJob

RATE, HOP = 8000, 800


def job(number: int) -> WindowJob:
    schedule = Schedule.live(4000, HOP, 400, 0)
    window = Window(0, number * HOP, HOP, 0, np.zeros((1, 2), "f4"), schedule)
    return WindowJob(
        window, lambda _: None, 1.0, 1.1, 1.2, stems=np.zeros((1, 1, 2), "f4"), done=True
    )


def notes(*positions: int) -> np.ndarray:
    """Blocks that were played a second after their position."""
    made = np.zeros(len(positions), LOG)
    made["position"] = made["frame"] = positions
    made["called_seconds"] = 1 + np.array(positions) / RATE
    return made


def test_windows_that_no_output_plays_do_not_pile_up() -> None:
    log = LatencyLog(RATE, 1.0)
    stamps = Stamps(log, RATE, RATE)
    windows = WAITING_WINDOWS + 10
    for number in range(windows):
        stamps.captured(notes(number * HOP))
        stamps.finished(job(number), 1.3, played=True)
        stamps.settle()
    assert (log.windows, log.missed) == (10, 0), "nobody knows when they were played"
    stamps.played(notes(windows * HOP - 100, windows * HOP))
    stamps.settle()
    assert (log.windows, log.missed) == (windows, 0)
