"""`stemstream live` on JACK, where a delay can be told to the frame."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from live.support import servers
from live.support.command import LiveRun, read_report
from live.support.iodelay import iodelay
from live.support.loop import pass_through
from live.support.servers import RATE, Server

from streamer.live.devices.portaudio import PortAudioBackend

PERIOD = 256  # frames, of `servers.jack`
SYSTEM = ("-n", "passthrough", "--input", "system", "--output", "system", "--samplerate", RATE)

Start = Callable[..., LiveRun]
PORTAUDIO_IN, PORTAUDIO_OUT = "PortAudio.*:in_0", "PortAudio.*:out_"


def test_jack_iodelay_measures_the_announced_delay(
    jack: Server, portaudio: PortAudioBackend, live: Start, tmp_path: Path
) -> None:
    """Of the mix, which only waits, and of a stem, which goes through the whole engine."""
    try:
        servers.needs("jack_iodelay", "stdbuf")
    except servers.UnavailableError as error:
        pytest.skip(str(error))
    with pass_through(portaudio, ("system", "system"), RATE, PERIOD) as native_frames:
        server_frames = iodelay(jack, PORTAUDIO_IN, f"{PORTAUDIO_OUT}0") - native_frames
    assert 0 <= server_frames <= 4 * PERIOD
    report = tmp_path / "report.json"
    routes = ("--route", "mix=1,2", "--route", "vocals=3,4")
    run = live(*SYSTEM, "--blocksize", PERIOD, *routes, "--report", report)
    run.until("running")
    measured = [iodelay(jack, PORTAUDIO_IN, PORTAUDIO_OUT + output) for output in "02"]
    assert run.stop() == 130
    told = read_report(report)
    if not told["xruns"]:  # a missed cycle lengthens what is on its way by a period
        expected = [told["announced_delay_frames"] + server_frames] * 2
        assert measured == pytest.approx(expected, abs=0.5)
    assert told["dropped_frames"] == 0


@pytest.mark.parametrize("blocksize", [PERIOD // 4, PERIOD, 2 * PERIOD])
def test_the_announced_delay_stays_and_is_the_measured_one(
    jack: Server, portaudio: PortAudioBackend, live: Start, tmp_path: Path, blocksize: int
) -> None:
    """By jack_iodelay, which hears through the graph what a cable between its ports would."""
    try:
        servers.needs("jack_iodelay", "stdbuf")
    except servers.UnavailableError as error:
        pytest.skip(str(error))
    report = tmp_path / "report.json"
    options = ("--duration", 10, "--report", report)  # longer than the devices are listened to
    run = live(*SYSTEM, "--blocksize", blocksize, "--route", "mix=1,2", *options)
    run.until("running")
    (opened,) = re.findall(r"delay (\d+) ms", next(line for line in run.told if "delay" in line))
    measured = iodelay(jack, PORTAUDIO_IN, f"{PORTAUDIO_OUT}0")
    assert run.wait() == 0
    told = read_report(report)
    announced = told["announced_delay_seconds"]
    assert int(opened) == round(announced * 1000)
    assert not [line for line in run.told if "the devices delay by" in line]
    if not told["xruns"]:  # on a busy machine
        assert measured == pytest.approx(announced * RATE, abs=0.5)
        assert told["delay"]["p50_seconds"] == pytest.approx(announced, abs=PERIOD / RATE)


@pytest.mark.parametrize(("given", "outputs"), [((), 8), (("--output-channels", 4), 4)])
def test_all_channels_are_opened_so_that_a_scene_can_add_some_later(
    jack: Server, live: Start, given: tuple[object, ...], outputs: int
) -> None:
    run = live(*SYSTEM, "--route", "vocals=1,2", *given)
    run.until("running")
    ports = re.findall(r"^PortAudio.*:out_[0-9]+$", jack.call("jack_lsp") or "", re.MULTILINE)
    assert run.stop() == 130
    assert len(ports) == outputs


@pytest.mark.parametrize(
    ("given", "code", "told"),
    [
        (("--samplerate", "44100"), 6, "samplerate=44100 must be a rate that 'system' has; try"),
        (("--input-channels", "3"), 6, "'system' has 2 input channels, 3 are wanted; try fewer"),
        (("--route", "vocals=9"), 2, "route vocals=9 needs channel 9, and the output system has 8"),
        (("--input", "PulseAudio"), 6, "there is no input device named 'PulseAudio'; try"),
    ],
)
def test_refuses_in_one_sentence(
    jack: Server,
    portaudio: PortAudioBackend,
    refused: Callable[..., tuple[int, str]],
    given: tuple[str, ...],
    code: int,
    told: str,
) -> None:
    got, line = refused(*SYSTEM, "--duration", "1", *given)
    assert told in line
    assert got == code
