"""What `stemstream doctor` says of a live run's surroundings, each time with the way out."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.doctor import Finding, examine
from streamer.errors import DeviceError
from streamer.live.control.midi.ports import MidiPort
from streamer.live.devices.sound_server import running_server


class Controllers:
    """Two that are plugged in."""

    def ports(self) -> list[MidiPort]:
        return [MidiPort("ALSA", "nanoKONTROL2"), MidiPort("JACK", "a2j:APC MINI")]


def findings() -> dict[str, Finding]:
    return {finding.subject: finding for finding, _ in examine()}


@pytest.fixture
def pactl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Have `pactl` answer with the name and the version of a server; without a name, fail."""

    def answer(name: str, version: str) -> None:
        program = tmp_path / "pactl"
        told = json.dumps({"server_name": name, "server_version": version})
        line = f"echo '{told}'" if name else "exit 1"
        program.write_text(f"#!/bin/sh\n{line}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return answer


def test_what_a_live_run_lacks_is_told_with_the_command_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("pulsectl", "rtmidi", "streamer.live.control.page.server"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = findings()
    for part, brings in {
        "sound server": "apt install pulseaudio-utils",
        "live --system": "pip install 'stemstream[system]'",
        "live --midi": "pip install 'stemstream[midi]'",
        "live --page": "`pip install 'stemstream[page]'`",
    }.items():
        assert not found[part].works
        assert found[part].told.endswith(("not installed", "not here"))
        assert found[part].remedy == brings


def test_controllers_and_the_sound_server_are_named(
    pactl: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.doctor_live.RtMidiPorts", Controllers)
    pactl("PulseAudio (on PipeWire 0.3.65)", "15.0.0")
    found = findings()
    assert found["live --midi"].told == "2 ports: ALSA:nanoKONTROL2, JACK:a2j:APC MINI"
    assert found["sound server"].told == "PipeWire 0.3.65"


def test_pulseaudio_is_told_with_its_version_and_silence_with_a_way_out(
    pactl: Callable[[str, str], None],
) -> None:
    pactl("pulseaudio", "16.1")
    assert running_server() == "PulseAudio 16.1"
    pactl("", "")
    with pytest.raises(DeviceError, match="none answers; start PipeWire with pipewire-pulse, or P"):
        running_server()
