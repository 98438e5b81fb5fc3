"""The round trip through a cable on virtual time: to the frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from live.support.causal import small_causal

from streamer.audio import Samples
from streamer.errors import DeviceError, SettingsError
from streamer.live.roundtrip.run import Pace, RoundTrip, measure
from streamer.live.settings import LiveSettings
from streamer.pipeline.windows import Window
from streamer.pipeline.worker import Separate, WindowJob, compute
from streamer.testing.virtual import VirtualBackend, VirtualDevice

RATE = 48000
CONVERTER_FRAMES = 200
CABLE_FRAMES = 37


@pytest.fixture(autouse=True)
def timings_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


class PromptWorker:
    """Computes each window at once: on virtual time that takes none."""

    def __init__(self, clock=float) -> None:
        self._clock = clock
        self._pending: deque[WindowJob] = deque()

    def submit(self, window: Window, separate: Separate) -> None:
        job = WindowJob(window, separate, queued_at=self._clock())
        compute([job], self._clock)
        job.done = True
        self._pending.append(job)

    def finished(self, *, wait: bool = False) -> Iterator[WindowJob]:
        while self._pending:
            yield self._pending.popleft()

    def close(self) -> None:
        self._pending.clear()


def card(**more: object) -> VirtualDevice:
    given = {"input_channels": 2, "output_channels": 2, "samplerate": RATE} | more
    return VirtualDevice("card", converter_seconds=CONVERTER_FRAMES / RATE, **given)


def cable(to: VirtualDevice, source: VirtualDevice, gain: float = 1.0) -> None:
    """Have an input hear an output, a little later."""

    def heard(start_frame: int, frames: int) -> Samples:
        played = source.heard(start_frame - CABLE_FRAMES, frames)[:, : to.input_channels]
        return gain * played

    to.source = heard


def trip(*devices: VirtualDevice, channels=None, tell=lambda _: None, **more: object) -> RoundTrip:
    backend = VirtualBackend(devices)
    settings = LiveSettings(**({"model": "passthrough", "hop": 0.2, "lookahead": 0.1} | more))
    pace = Pace(backend.advance, backend.run_clock, lambda _: PromptWorker(backend.clock))
    return measure(settings, backend, channels=channels, pace=pace, tell=tell)


@pytest.mark.parametrize("blocksize", [64, 512])
def test_one_device_to_the_frame(blocksize: int) -> None:
    device = card()
    cable(device, device)
    got = trip(device, blocksize=blocksize)
    # a block is played once it was captured
    assert got.device.frames == 2 * CONVERTER_FRAMES + blocksize + CABLE_FRAMES
    assert got.claimed_frames == pytest.approx(2 * CONVERTER_FRAMES + blocksize)
    assert got.separator_frames == got.announced_separator_frames == got.plan.delay.frames
    assert got.total.frames == round(got.announced_frames) + CABLE_FRAMES
    assert got.total.confidence == 1
    assert sum(got.parts().values()) == got.announced_separator_frames
    assert got.missed_windows == got.xruns == 0


@pytest.mark.parametrize(
    "of_other_runs",
    [{"two_stems": "vocals"}, {"stems": ("bass",), "residual": True}, {"duration": 0.5}],
)
def test_what_a_settings_file_says_of_other_runs_changes_nothing(
    of_other_runs: dict[str, object],
) -> None:
    device = card()
    cable(device, device)
    got = trip(device, **of_other_runs)
    assert got.separator_frames == got.announced_separator_frames


def test_an_inverted_cable_on_other_channels() -> None:
    device = card(output_channels=4)

    def heard(start_frame: int, frames: int) -> Samples:
        played = device.heard(start_frame - CABLE_FRAMES, frames)
        return np.stack([np.zeros(frames), -0.1 * played[:, 3]], axis=1)

    device.source = heard
    got = trip(device, channels=(4,))
    assert got.separator_frames == got.plan.delay.frames
    assert got.total.inverted
    assert got.total.gain == pytest.approx(-0.1, rel=0.05)
    with pytest.raises(SettingsError, match="must be one or two of card, which has 4"):
        trip(card(output_channels=4), channels=(5,))


def test_a_promise_is_measured_as_announced() -> None:
    device = card()
    cable(device, device)
    got = trip(device, hop=None, lookahead=None, latency=0.4)
    assert got.separator_frames == got.plan.delay.frames
    assert got.total.frames <= 0.4 * RATE + CABLE_FRAMES


def test_a_model_that_a_run_computes_natively_is_measured_in_python_and_that_is_told(
    tmp_path: Path,
) -> None:
    small_causal(tmp_path)
    device, told = card(), []
    cable(device, device)
    model = str(tmp_path / "small.safetensors")
    got = trip(device, model=model, hop=None, lookahead=None, latency=0.06, tell=told.append)
    assert got.separator_frames == got.plan.delay.frames
    assert got.announced_frames > 0.06 * RATE, "no promise is broken"
    assert sum("it is measured with the engine in Python" in sentence for sentence in told) == 1
    told.clear()
    with pytest.raises(SettingsError, match="must be at least"):  # of the engine in Python
        trip(device, model=model, hop=0.1, lookahead=None, latency=0.03, tell=told.append)
    assert not any("native" in sentence for sentence in told)


def test_two_devices_with_clocks_of_their_own() -> None:
    speakers = VirtualDevice(
        "speakers", output_channels=2, samplerate=RATE, ppm=40, converter_seconds=0.004
    )
    microphone = VirtualDevice(
        "microphone",
        input_channels=1,
        samplerate=RATE,
        jitter_seconds=0.0005,
        converter_seconds=0.002,
    )

    def heard(start_frame: int, frames: int) -> Samples:
        first = round(speakers.frame_at(microphone.time_of(start_frame)))
        return speakers.heard(first, frames)[:, :1]

    microphone.source = heard
    got = trip(speakers, microphone)
    assert not got.wiring.duplex
    assert got.separator_frames == pytest.approx(got.plan.delay.frames, abs=48)
    assert got.total.frames == pytest.approx(got.announced_frames, abs=96)


@pytest.mark.parametrize(("gain", "told"), [(0.0, "nothing came back .* connect the output")])
def test_no_cable(gain: float, told: str) -> None:
    device = card()
    cable(device, device, gain)
    notes: list[str] = []
    with pytest.raises(DeviceError, match=told) as refused:
        trip(device, tell=notes.append)
    assert refused.value.exit_code == 6
    assert sum("trying again" in note for note in notes) == 2


def test_a_cable_that_is_put_in_late() -> None:
    device = card()
    backend_time = 8 * RATE

    def heard(start_frame: int, frames: int) -> Samples:
        there = start_frame > backend_time
        return there * device.heard(start_frame - CABLE_FRAMES, frames)

    device.source = heard
    assert trip(device).separator_frames > 0


def test_refuses_a_file(tmp_path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((10, 2)), RATE)
    with pytest.raises(SettingsError, match="is a file, and a round trip needs a sound device"):
        trip(card(), input=str(tmp_path / "a.wav"))
