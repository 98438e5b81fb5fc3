"""What converters delay, as the notes of callbacks tell."""

from __future__ import annotations

import numpy as np
import pytest

from streamer.live.realtime.callbacks import LOG
from streamer.live.telemetry.converters import LISTEN_SECONDS, ConverterDelay

RATE, BLOCK = 8000, 80


def notes(seconds: float, delay_seconds: float | None) -> np.ndarray:
    """The notes of so many seconds of playback; without a delay it is not told."""
    made = np.zeros(round(seconds * RATE / BLOCK), LOG)
    made["frame"] = np.arange(len(made)) * BLOCK
    made["called_seconds"] = 7 + made["frame"] / RATE
    made["converter_seconds"] = np.nan if delay_seconds is None else delay_seconds
    return made


def test_what_was_heard_holds_until_the_next_stream_was_listened_to() -> None:
    heard = ConverterDelay(RATE)
    heard.feed(notes(LISTEN_SECONDS - 0.1, 0.03))
    assert (heard.listening, heard.seconds) == (True, None)
    heard.feed(notes(LISTEN_SECONDS + 0.1, 0.03))
    assert not heard.listening
    assert heard.seconds == pytest.approx(0.03)
    heard.listen()
    assert heard.listening
    assert heard.seconds == pytest.approx(0.03)
    heard.feed(notes(LISTEN_SECONDS + 0.1, 0.05))
    assert heard.seconds == pytest.approx(0.05)


def test_a_device_that_tells_no_time_is_not_listened_to_for_ever() -> None:
    heard = ConverterDelay(RATE)
    heard.feed(notes(LISTEN_SECONDS + 0.1, None))
    assert (heard.listening, heard.seconds) == (False, None)
