"""PipeWire's JACK by our own client: found without `pw-jack`, and followed. No model, no engine."""

from __future__ import annotations

import re
import signal
import subprocess

import numpy as np
import pytest
from live.support.jack_run import (
    DELAY,
    PERIOD,
    connections,
    heard_through,
    latencies,
    running,
)
from live.support.servers import RATE, Server, wait_until
from support.doubles import noise

from streamer.live.devices.jack import JackBackend
from streamer.live.devices.sound_server import running_server


def to_speaker(client: str = "stemstream") -> set[tuple[str, str]]:
    return {(f"{client}:mix_{side}", f"speaker:playback_F{side}") for side in "LR"}


def setting(pipewire: Server, name: str, value: int) -> None:
    """Change a setting of the server; 0 leaves it to the programs."""
    changed = pipewire.call("pw-metadata", "-n", "settings", "0", f"clock.{name}", str(value))
    assert changed is not None


def test_it_is_found_and_its_default_output_alone_is_connected(pipewire: Server) -> None:
    """The other device takes in, too, and has nothing to do with us."""
    backend = JackBackend()
    assert backend.server == "PipeWire"
    assert re.fullmatch(r"PipeWire \d+\.\d+\.\d+", running_server())
    (device,) = backend.devices()
    assert (device.samplerate, device.block_frames) == (RATE, PERIOD)
    with running():
        assert connections(pipewire) == to_speaker()


def test_sound_goes_through_to_the_bit_after_the_announced_delay_and_latencies_are_told(
    pipewire: Server,
) -> None:
    with running():
        sound = 0.5 * noise(RATE // 4)
        for attempt in range(3):
            heard = heard_through(pipewire, sound, "stemstream:in", "stemstream:vocals")
            if np.array_equal(heard[DELAY + PERIOD :][: len(sound)], sound):
                break
            assert attempt < 2, "an xrun each time?"
        assert latencies(pipewire, "stemstream:mix_L") == (DELAY, 0)
        assert latencies(pipewire, "stemstream:in_L") == (0, DELAY)


def test_other_blocks_are_followed_and_another_rate_is_waited_for(pipewire: Server) -> None:
    with running() as run:
        try:
            for frames in (PERIOD // 2, 4 * PERIOD):
                setting(pipewire, "force-quantum", frames)
                run.until(lambda frames=frames: run.plays_blocks_of(frames))
                run.until(lambda: connections(pipewire) == to_speaker())
            setting(pipewire, "force-rate", 44100)
            wanted = f"samplerate={RATE} must be the one of the JACK server; try 44100"
            run.until(lambda: run.stream.trouble == wanted)
        finally:
            setting(pipewire, "force-rate", 0)
            setting(pipewire, "force-quantum", 0)
        run.until(lambda: run.plays_blocks_of(PERIOD))
        run.until(lambda: connections(pipewire) == to_speaker())


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_that_comes_back_finds_the_ports_and_their_connections(
    pipewire: Server, sent: signal.Signals
) -> None:
    with running() as run:
        assert pipewire.call("jack_connect", "mic:capture_FR", "stemstream:in_L") is not None
        wanted = to_speaker() | {("mic:capture_FR", "stemstream:in_L")}
        wait_until(lambda: connections(pipewire) == wanted)
        run.watch()
        pipewire.kill(sent)
        run.until(lambda: run.stream.away)
        run.until(lambda: run.stream.trouble.startswith("JACK is not running; start jackd"))
        pipewire.start()
        run.until(run.back)
        run.until(lambda: connections(pipewire) == wanted)


def test_a_second_run_of_a_name_takes_a_number_as_on_jackd(pipewire: Server) -> None:
    with running(jack_name="band", connect=False), running(jack_name="band"):
        assert connections(pipewire) == to_speaker("band-01")


def test_the_blocks_are_those_that_all_programs_have_agreed_on(pipewire: Server) -> None:
    """Not the usual ones, of which a client is told that does not run."""
    shorter = PERIOD // 4
    command = ("env", f"PIPEWIRE_LATENCY={shorter}/{RATE}", "pw-jack", "jack_iodelay")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as other:
        try:
            wait_until(lambda: "jack_delay:out" in (pipewire.call("jack_lsp") or ""))
            (device,) = JackBackend().devices()
            assert device.block_frames == shorter
            with running() as run:
                assert run.stream.request.blocksize == shorter
                assert run.stream.losses == 0
        finally:
            other.kill()
