"""The figures of a job while it runs, as the bar and Prometheus get them."""

from __future__ import annotations

import math

import pytest
from batch.support.scrapes import scrape

from streamer.batch.manifest import Row, State
from streamer.batch.tally import Tally
from streamer.errors import SettingsError
from streamer.live.telemetry.metrics_server import MetricsServer


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_prometheus_gets_songs_by_state_music_speed_and_the_time_left():
    clock = Clock()
    rows = [Row(f"{number}.wav") for number in range(10)]
    rows += [Row("old.wav", state=State.DONE, seconds=500.0), Row("bad.wav", state=State.FAILED)]
    tally = Tally(rows, lambda: 3, workers=4, now=clock)
    with MetricsServer(tally, port=0) as server:
        values = scrape(server.url)
        assert values["songs", "waiting"] == 7
        assert values["songs", "running"] == 3
        assert math.isnan(values["left_seconds",])
        clock.now += 60.0
        for number in range(4):
            state = State.FAILED if number == 3 else State.DONE
            tally.take(Row(f"{number}.wav", state=state, seconds=200.0))
        values = scrape(server.url)
    assert [values["songs", state.value] for state in State] == [3, 3, 4, 2]
    assert values["music_seconds_total",] == 600.0
    assert values["speed",] == 10.0
    assert values["left_seconds",] == 90.0
    assert values["workers",] == 4


def test_a_port_that_another_program_has_is_one_sentence():
    tally = Tally([], lambda: 0, workers=1)
    with MetricsServer(tally, port=0) as server, pytest.raises(SettingsError, match="no other"):
        MetricsServer(tally, port=server.port)
