"""What a live run says before it begins, where something is wrong with what it was given."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from streamer.errors import DeviceError, SourceError
from streamer.live.devices.device import StreamRequest
from streamer.live.devices.portaudio import _refusals
from streamer.live.devices.portaudio_library import Library
from streamer.live.planning.prepare import wire
from streamer.live.settings import LiveSettings
from streamer.testing.virtual import VirtualBackend
from streamer.testing.virtual_device import VirtualDevice

MIC = VirtualDevice("mic 2.0", input_channels=2)


@pytest.mark.parametrize("outputs", [0, 2], ids=["no output", "an output"])
def test_a_song_that_is_not_there_is_told_as_a_file(outputs: int) -> None:
    backend = VirtualBackend([MIC, VirtualDevice("box", output_channels=outputs)])
    with pytest.raises(SourceError, match=r"^there is no file nosuch\.flac, nor an input device"):
        wire(LiveSettings(input="nosuch.flac"), backend)


def test_a_folder_is_told_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "songs").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match="songs is a folder"):
        wire(LiveSettings(input="songs"), VirtualBackend([MIC]))


@pytest.mark.parametrize("name", ["mic", "mic 2.0", "source.monitor"])
def test_a_device_is_not_taken_for_a_file(name: str) -> None:
    devices = [MIC, VirtualDevice("box", output_channels=2)]
    if name != "source.monitor":
        wiring, _ = wire(LiveSettings(input=name), VirtualBackend(devices))
        assert wiring.input is not None
        return
    with pytest.raises(DeviceError, match="there is no input device named"):
        wire(LiveSettings(input=name), VirtualBackend(devices))


class PortAudioError(Exception):
    """As that of sounddevice: what it says, PortAudio's number, and what the host API says."""


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (("Error opening _StreamBase: Invalid number of channels", -9998), "(Invalid number of"),
        (
            ("Error opening _StreamBase: Unanticipated host error", -9999, (0, -16, "no memory")),
            "(no memory)",
        ),
        (("Could not obtain stream info",), "(Could not obtain"),
    ],
)
def test_no_sentence_names_a_class_of_sounddevice(said: tuple[Any, ...], told: str) -> None:
    backend = VirtualBackend([MIC])
    request = StreamRequest(backend.devices()[0], None, 2, 0, 48000, 512, "low", 0, 0)
    library = SimpleNamespace(sounddevice=SimpleNamespace(PortAudioError=PortAudioError))
    with pytest.raises(DeviceError) as caught, _refusals(cast(Library, library), request):
        raise PortAudioError(*said)
    assert "_StreamBase" not in str(caught.value)
    assert f"'mic 2.0' cannot be used {told}" in str(caught.value)
