"""What happens to a live run when its devices go away, and when the model or the disk fails."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from live.support.staging import (
    STEP_SECONDS,
    Run,
    Scaled,
    begun,
    card,
    delay_between,
    microphone,
    noise_source,
    one,
    running,
    speakers,
    tone,
)
from support.doubles import RATE, bag_of, noise, tiny

from streamer.audio import Samples
from streamer.errors import ModelError
from streamer.live.realtime.callbacks import FADE_FRAMES
from streamer.live.status import DeviceState, Reason, State
from streamer.models.separator import WHOLE
from streamer.testing.virtual import VirtualBackend
from streamer.testing.virtual_device import VirtualDevice

FADE_STEP = 1 / FADE_FRAMES
LEAVES, RETURNS = 2.0, 3.7
FOUND_SECONDS = 1.05
BACK_SECONDS = 2.0
ROUTE = {"route": ["drums=1,2"]}

Fault = Callable[[VirtualBackend, VirtualDevice], None]


def unplugged(backend: VirtualBackend, device: VirtualDevice) -> None:
    backend.at(LEAVES, device.unplug)
    backend.at(RETURNS, device.replug)


def silent(backend: VirtualBackend, device: VirtualDevice) -> None:
    backend.at(LEAVES, device.pause)
    backend.at(RETURNS, device.resume)


def another_rate(backend: VirtualBackend, device: VirtualDevice) -> None:
    backend.at(LEAVES, lambda: device.change_rate(2 * RATE))
    backend.at(RETURNS, lambda: device.change_rate(RATE))


def busy(backend: VirtualBackend, device: VirtualDevice) -> None:
    def take() -> None:
        device.end_streams(told=False)
        device.busy = True

    backend.at(LEAVES, take)
    backend.at(RETURNS, lambda: setattr(device, "busy", False))


def restarted(backend: VirtualBackend, device: VirtualDevice) -> None:
    backend.at(LEAVES, lambda: backend.restart_server(RETURNS - LEAVES))


FAULTS = [unplugged, silent, another_rate, busy, restarted]
TROUBLE = {another_rate: "samplerate=8000", busy: "busy"}


def heard(device: VirtualDevice, since: float = 0.0) -> Samples:
    start = round(since * RATE)
    return device.heard(start, device.heard_frames - start)[:, :2]


def assert_no_step(out: Samples, smooth: Samples) -> None:
    steepest = np.abs(np.diff(smooth, axis=0)).max() + np.abs(smooth).max() * FADE_STEP
    assert np.abs(np.diff(out, axis=0)).max() <= steepest * 1.01


def advance_to(run: Run, seconds: float) -> None:
    run.advance(seconds - run.backend.clock())


def assert_waiting(run: Run, reason: Reason, fault: Fault) -> None:
    status = run.session.status()
    assert (status.state, status.reason) == (State.WAITING, reason)
    assert status.device_losses == len(run.session.streams.lost)
    assert TROUBLE.get(fault, "") in status.detail
    assert reason.value in run.told[0]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_duplex_device_that_goes_away_comes_back(fault: Fault, tmp_path: Path) -> None:
    signal = noise_source(seconds=12)
    device = card(signal)
    others = [speakers("other"), microphone(signal)]
    with running(
        [device, *others],
        input="card",
        output="card",
        record=tmp_path,
        sample_format="float32",
        **ROUTE,
    ) as run:
        fault(run.backend, device)
        announced = run.announced_frames
        advance_to(run, LEAVES - 0.01)
        before = run.session.streams.capture.counters().captured_frames
        advance_to(run, LEAVES + FOUND_SECONDS)
        assert_waiting(run, Reason.INPUT_LOST, fault)
        assert run.session.delay_seconds * RATE == pytest.approx(announced)
        advance_to(run, RETURNS + BACK_SECONDS)
        back = heard(device, RETURNS)
        advance_to(run, 7.0)
        status = run.session.status()
        missing = run.session.streams.capture.counters().away_frames
    assert (status.state, status.rung) == (State.RUNNING, 0)
    assert status.device_losses == 1
    assert run.announced_frames == announced
    # sound, as late as ever
    assert np.abs(back).max() > 0.05
    out = heard(device)
    played = signal[: len(out) - announced]
    np.testing.assert_allclose(out[-RATE:], played[-RATE:], atol=1e-6)
    # the device loss is told to the frame, and what is recorded is true to time
    assert f" {missing:,} frame" in run.told[1]
    recorded, _ = soundfile.read(tmp_path / "take-001" / "drums.wav", dtype="float32")
    silence = np.flatnonzero((recorded == 0).all(axis=1))
    if fault is silent:  # it is opened anew with its first block, to count what was missed
        before += 512
    else:
        np.testing.assert_array_equal(np.diff(silence), 1)
    assert silence[-1] == before + missing
    assert np.abs(silence[0] - before) <= 512  # it rings out
    if fault is not another_rate:  # its clock has run faster meanwhile
        at = begun() - 32 + len(recorded) - 1000
        played = signal[at - 64 : at + 1064, 0]
        late = int(np.argmax(np.correlate(played, recorded[-1000:, 0], "valid"))) - 64
        assert abs(late) <= 2 * STEP_SECONDS * RATE
    assert len(run.told) == 2


@pytest.mark.parametrize("fault", FAULTS)
def test_an_input_that_goes_away_comes_back(fault: Fault) -> None:
    smooth = tone(10)
    mic, output = microphone(smooth), speakers()
    with running([mic, output], **ROUTE) as run:
        fault(run.backend, mic)
        advance_to(run, LEAVES + FOUND_SECONDS)
        assert_waiting(run, Reason.INPUT_LOST, fault)
        advance_to(run, RETURNS + BACK_SECONDS)
        assert np.abs(heard(output, RETURNS)).max() > 0.05
        advance_to(run, 8.5)
        assert run.session.status().state is State.RUNNING
        assert run.session.status().rung == 0
    out = heard(output)
    if fault is restarted:  # the output went too, with what it had
        out = heard(output, RETURNS)
    assert_no_step(out, smooth)


@pytest.mark.parametrize("fault", [unplugged, silent])
def test_what_was_recorded_last_rings_out_where_the_delay_is_long(fault: Fault) -> None:
    """The loss is found before its moment is heard: it is heard as an end, not as a cut."""
    smooth = tone(12)
    mic, output = microphone(smooth), card(smooth, name="output", input_channels=0)
    with running(
        [mic, output],
        lambda _: one(Scaled(16000)),
        hop=0.5,
        lookahead=0.5,
        route=["drums=1,2", "mix=3,4", "mix-bass=5,6"],
    ) as run:
        assert run.session.delay_seconds > 1.5
        fault(run.backend, mic)
        run.advance(9)
        assert run.session.status().state is State.RUNNING
    out = output.heard(0, output.heard_frames)[:, :6]
    assert np.abs(out[-RATE:]).max() > 0.2
    assert_no_step(out, smooth)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_delay_is_the_same_after_an_input_was_away(fault: Fault) -> None:
    signal = noise_source(seconds=13)
    mic, output = microphone(signal), speakers()
    with running([mic, output], **ROUTE) as run:
        fault(run.backend, mic)
        announced = run.session.delay_seconds
        for second in (1.9, 7.0, 8.0, 9.0):
            advance_to(run, second)
            delay = delay_between(mic, signal, output, second - 0.3)
            assert abs(delay - announced) < 256 / RATE


@pytest.mark.parametrize("fault", FAULTS)
def test_one_of_two_outputs_goes_away_and_the_other_does_not_notice(fault: Fault) -> None:
    signal = noise_source(seconds=8)
    device, phones = card(signal), speakers("phones", hostapi="Another")
    routes = ["drums=1,2", "phones:drums=1,2"]
    with running(
        [device, phones], output=["card", "phones"], input="card", route=routes, reopens=True
    ) as run:
        if fault is restarted:
            run.backend.at(LEAVES, lambda: run.backend.restart_server(RETURNS - LEAVES, "Another"))
        else:
            fault(run.backend, phones)
        announced = run.announced_frames
        advance_to(run, LEAVES - 0.01)
        assert abs(delay_between(device, signal, phones, 1.7) * RATE - announced) < 256
        advance_to(run, LEAVES + FOUND_SECONDS)
        assert_waiting(run, Reason.OUTPUT_LOST, fault)
        advance_to(run, RETURNS + BACK_SECONDS)
        assert np.abs(heard(phones, RETURNS)).max() > 0.05
        advance_to(run, 7.0)
        assert abs(delay_between(device, signal, phones, 6.5) * RATE - announced) < 256
        status = run.session.status()
    assert status.state is State.RUNNING
    assert status.xruns <= 1  # that of the phones
    assert status.dropped_frames == status.deadline_misses == 0
    out = heard(device)
    first = announced + RATE // 2
    np.testing.assert_allclose(out[first:], signal[RATE // 2 : len(out) - announced], atol=1e-6)


def test_the_status_has_each_device_and_how_it_is() -> None:
    signal = noise_source(seconds=6)
    devices = [microphone(signal), speakers("one"), speakers("two", hostapi="Another")]
    with running(devices, input="mic", output=["one", "two"], reopens=True, **ROUTE) as run:
        unplugged(run.backend, devices[2])
        advance_to(run, LEAVES - 0.01)
        before = run.session.status().devices
        advance_to(run, LEAVES + FOUND_SECONDS)
        away = run.session.status().devices
        advance_to(run, RETURNS + BACK_SECONDS)
        back = run.session.status().devices
    mic, first, second = before
    assert (mic.name, mic.input_channels, mic.output_channels) == ("mic", 2, 0)
    assert (first.name, first.input_channels, first.output_channels) == ("one", 0, 2)
    assert (second.name, second.hostapi, second.losses) == ("two", "Another", 0)
    assert [one.state for one in before] == [DeviceState.RUNNING] * 3
    assert away[:2] == before[:2]
    assert (away[2].state, away[2].losses) == (DeviceState.GONE, 1)
    assert "'two' is gone" in away[2].trouble
    assert back == (mic, first, replace(second, losses=1))


def test_an_output_that_needs_a_new_list_waits_for_silence() -> None:
    """PortAudio sees a device come only when all streams are closed: not while another plays."""
    signal = noise_source(seconds=8)
    device, phones = card(signal), speakers("phones")
    with running([device, phones], output=["card", "phones"], input="card", **ROUTE) as run:
        unplugged(run.backend, phones)
        advance_to(run, 6.0)
        assert run.session.status().reason is Reason.OUTPUT_LOST
        announced = run.announced_frames
        out = heard(device)
        first = announced + RATE // 2
        np.testing.assert_allclose(out[first:], signal[RATE // 2 : len(out) - announced], atol=1e-6)
        device.end_streams()
        advance_to(run, 7.5)
        assert run.session.status().state is State.RUNNING
    assert np.abs(heard(phones, 7.0)).max() == 0  # nothing is routed there


def test_an_input_is_cut_off_more_and_more_seldom_for_an_output_that_is_away() -> None:
    """PortAudio sees it come only when the input is closed, too; a recording has a hole then."""
    mic, output = microphone(noise_source(seconds=20)), speakers()
    with running([mic, output], input="mic", output="speakers", **ROUTE) as run:
        run.backend.at(LEAVES, output.unplug)
        run.backend.at(9.5, output.replug)
        advance_to(run, 9.4)
        input_status, _ = run.session.status().devices
        assert input_status.losses == 3  # at once, after 1 s and after 2 s more
        assert run.session.streams.capture.counters().away_frames < RATE
        advance_to(run, 9.5 + BACK_SECONDS)
        assert run.session.status().state is State.RUNNING
        run.backend.at(12.5, output.unplug)
        run.backend.at(13.0, output.replug)
        advance_to(run, 13.0 + BACK_SECONDS)
        assert run.session.status().state is State.RUNNING, "a second loss begins anew"
    assert len([note for note in run.told if note.startswith("mic is back; ")]) == 5


@pytest.mark.parametrize("milliseconds", range(0, 50, 7))
def test_a_loss_always_makes_a_sentence_however_short(milliseconds: int) -> None:
    """Back before anybody looks: the status counted it, and nobody was told."""
    device = card(noise_source(seconds=4))
    with running([device], reopens=True, blocksize=64, **ROUTE) as run:
        run.backend.at(LEAVES + milliseconds / 1000, device.end_streams)
        advance_to(run, LEAVES + 1.0)
        status = run.session.status()
    assert status.state is State.RUNNING
    assert status.device_losses == 1
    lost, back = run.told
    assert lost.startswith(f"{Reason.INPUT_LOST.value}: card")
    assert back.startswith("card is back; ")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_waits_for_its_output(fault: Fault, tmp_path: Path) -> None:
    signal = noise(4 * RATE) + np.float32(1e-3)
    soundfile.write(tmp_path / "in.wav", signal, RATE, subtype="FLOAT")
    output = speakers()
    with running([output], input=str(tmp_path / "in.wav"), **ROUTE) as run:
        fault(run.backend, output)
        advance_to(run, LEAVES + FOUND_SECONDS)
        assert_waiting(run, Reason.OUTPUT_LOST, fault)
        run.advance(7)
        assert run.session.status().reason is Reason.SOURCE_ENDED
        assert run.session.status().deadline_misses == 0
    out = heard(output)
    played = np.flatnonzero(np.abs(out).max(axis=1))
    whole = out[played[0] : played[-1] + 1]
    hole = np.flatnonzero(np.diff(played) > 100)
    assert len(hole) == 1
    left = whole[: hole[0] + 1]
    right = out[played[hole[0] + 1] : played[-1] + 1]
    both = np.concatenate([left, right])
    assert len(both) == len(signal)
    fade = slice(len(left), len(left) + 256)
    both[fade] = signal[fade]
    np.testing.assert_allclose(both, signal, atol=1e-6)


def test_two_outputs_of_a_file_keep_together(tmp_path: Path) -> None:
    signal = noise(14 * RATE, seed=3)
    soundfile.write(tmp_path / "in.wav", signal, RATE, subtype="FLOAT")
    leader, follower = speakers("one", ppm=200), speakers("two", ppm=-200)
    routes = ["one:drums=1,2", "two:drums=1,2"]
    with running(
        [leader, follower], input=str(tmp_path / "in.wav"), output=["one", "two"], route=routes
    ) as run:
        run.advance(13)
        delay = run.session.delay_seconds
        assert run.session.streams.ports["two"].counters().splices == 0
    lag = round(delay * RATE)
    begin = 2000
    for second in (3, 8, 12):
        at = delay_between(leader, np.pad(signal, ((begin, 0), (0, 0))), leader, second)
        assert at == pytest.approx(lag / RATE, abs=1 / RATE)
        at = delay_between(leader, np.pad(signal, ((begin, 0), (0, 0))), follower, second)
        assert abs(at - delay) < 300 / RATE


def test_a_file_waits_for_its_second_output_while_both_are_away(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", noise(14 * RATE, seed=3), RATE, subtype="FLOAT")
    outputs = leader, follower = speakers("one"), speakers("two")
    names = ["one", "two"]
    with running(outputs, reopens=True, input=str(tmp_path / "in.wav"), output=names) as run:
        for device in outputs:
            run.backend.at(4.0, device.unplug)
        run.backend.at(6.0, follower.replug)
        run.backend.at(8.5, leader.replug)
        port = run.session.streams.ports["two"]
        advance_to(run, 3.9)
        before = port.counters().position
        advance_to(run, 8.0)
        assert port.counters().position - before < 2.3 * RATE
        advance_to(run, 11.0)
        others = run.session.streams.ports["one"].counters().position
        assert others == pytest.approx(port.counters().position, abs=0.1 * RATE)


def test_a_file_begins_when_all_outputs_are_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(tmp_path / "in.wav", noise(4 * RATE), RATE, subtype="FLOAT")
    opened = VirtualBackend.open

    def slow(backend, request):
        backend.advance(1.5)
        return opened(backend, request)

    monkeypatch.setattr(VirtualBackend, "open", slow)
    outputs = [speakers("one"), speakers("two")]
    with running(outputs, input=str(tmp_path / "in.wav"), output=["one", "two"]) as run:
        run.advance(3)
        for port in run.session.streams.ports.values():
            assert port.counters().dry_missing_frames == 0


def test_a_file_goes_on_at_one_output_while_the_first_is_away(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", noise(14 * RATE, seed=3), RATE, subtype="FLOAT")
    leader, follower = speakers("one"), speakers("two", ppm=50)
    with running(
        [leader, follower], reopens=True, input=str(tmp_path / "in.wav"), output=["one", "two"]
    ) as run:
        run.backend.at(4.0, leader.unplug)
        run.backend.at(5.0, leader.replug)
        run.advance(9)
        counters = run.session.streams.ports["two"].counters()
    assert counters.splices == 0


# The engine, the model, the disk


def test_a_step_that_is_late_by_a_second_costs_a_gap_and_nothing_else() -> None:
    smooth = tone(8)
    device = card(smooth)
    with running([device], **ROUTE) as run:
        run.advance(2)
        run.backend.advance(1.0)  # without a step
        run.advance(3)
        status = run.session.status()
        announced = run.announced_frames
    assert (status.state, status.rung, status.device_losses) == (State.RUNNING, 0, 0)
    assert status.deadline_misses > 0
    out = heard(device)
    assert_no_step(out[announced + RATE :], smooth)
    # what is missing is heard dry, so of this signal nothing is
    np.testing.assert_allclose(
        out[announced + RATE :], smooth[RATE : len(out) - announced], atol=1e-6
    )


class Failing(Scaled):
    """Fails, or gives NaN, for some windows."""

    def __init__(self, windows: range, answer: str) -> None:
        super().__init__()
        self.windows, self.answer, self.asked = windows, answer, 0

    def __call__(self, windows: Samples, kept: slice = WHOLE) -> Samples:
        self.asked += 1
        if self.asked - 1 not in self.windows:
            return super().__call__(windows, kept)
        if self.answer == "raises":
            raise ModelError("the model has no idea; try another")
        raise MemoryError


@pytest.mark.parametrize("answer", ["raises", "memory"])
def test_a_model_that_fails_is_heard_dry_and_goes_on(answer: str) -> None:
    smooth = tone(6)
    device = card(smooth)
    model = Failing(range(16, 18), answer)
    with running([device], lambda _: one(model), route=["bass=1,2"]) as run:
        advance_to(run, 2.07)
        failing = run.session.status()
        run.advance(3)
        status = run.session.status()
        announced = run.announced_frames
    assert (failing.state, failing.reason) == (State.DEGRADED, Reason.MODEL_FAILED)
    assert failing.detail in run.told
    assert status.state is State.RUNNING
    assert status.deadline_misses == 2
    assert len(run.told) == 1
    out = heard(device)
    assert_no_step(out[announced + RATE :], smooth)
    louder = np.abs(out[:, 0]) > 0.25  # the stem is half of the mix
    assert 0.1 < louder.sum() / RATE < 0.3


def test_a_model_that_gives_no_numbers_is_heard_dry() -> None:
    network = copy.deepcopy(tiny())
    runs = itertools.count()

    def spoil(_network: object, _given: object, out: torch.Tensor) -> torch.Tensor:
        return out * float("nan") if next(runs) in (16, 17, 18) else out

    network.register_forward_hook(spoil)
    device = card(noise_source(seconds=5))
    with running([device], lambda _: bag_of([network], [[1] * 4])) as run:
        run.advance(4)
        status = run.session.status()
    assert status.deadline_misses == 3
    assert len(run.told) == 1, "three in a row are a hiccup, and no step of the ladder"
    assert "finite" in run.told[0]
    assert np.isfinite(heard(device)).all()


def test_no_numbers_and_denormals_at_the_input_are_silence() -> None:
    signal = noise_source(seconds=4)
    expected = signal.copy()
    signal[9000:9100, 0] = np.nan
    signal[9200:9300] = np.inf
    signal[9400:12000] = 1e-40
    for bad in (slice(9200, 9300), slice(9400, 12000)):
        expected[bad] = 0
    expected[9000:9100, 0] = 0
    device = card(signal)
    with running([device], route=["drums=1,2", "mix=3,4"]) as run:
        run.advance(3)
        announced = run.announced_frames
        assert run.session.status().state is State.RUNNING
        assert run.session.streams.capture.counters().bad_samples == 300
    out = device.heard(0, device.heard_frames)[:, :4]
    first = announced + RATE // 2
    for pair in (out[first:, :2], out[first:, 2:]):
        np.testing.assert_allclose(pair, expected[RATE // 2 : len(out) - announced], atol=1e-6)


def test_a_full_disk_does_not_disturb_the_sound(small_disk: Path) -> None:
    signal = noise_source(seconds=8)
    device = card(signal)
    with running([device], record=small_disk, **ROUTE) as run:
        run.advance(4)
        recorder = run.session._parts.recording._recorder
        recorder._recorder.join()  # its thread ends with the first write that fails
        run.advance(3)
        status = run.session.status()
        announced = run.announced_frames
    assert (status.state, status.reason) == (State.DEGRADED, Reason.RECORDER_FAILED)
    assert "stopped" in status.recording
    assert len(run.told) == 1
    assert status.dropped_frames == status.xruns == status.deadline_misses == 0
    out = heard(device)
    first = announced + RATE // 2
    np.testing.assert_allclose(out[first:], signal[RATE // 2 : len(out) - announced], atol=1e-6)
    (frames,) = {soundfile.info(path).frames for path in small_disk.rglob("*.wav")}
    assert frames > 1000


def test_a_disk_that_is_full_at_the_end_is_told(small_disk: Path) -> None:
    with running([card(noise_source(seconds=3))], record=small_disk, **ROUTE) as run:
        run.advance(1.3)
        with suppress(OSError), (small_disk / "other").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    assert [said for said in run.told if "cannot be written" in said]
