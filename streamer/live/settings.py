"""Everything that a live run can be told, in one frozen and checked object."""

from __future__ import annotations

import re
from collections.abc import Container
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, Self, TypeAlias

from pydantic import AfterValidator, BeforeValidator, model_validator

from streamer.checked import MOST_COUNT, Name, StreamNumber, guarded, harmless
from streamer.pipeline.delay import Fallback
from streamer.sentences import ConflictError
from streamer.settings import ProjectKind, StreamSettings

_CLOCK: Final = re.compile(r"(?:([0-9]{1,3}):)?([0-9]{1,4}):([0-5]?[0-9](?:\.[0-9]*)?)")
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{12,128}")
_DAY_SECONDS: Final = 86_400


def _several(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _channels(value: object) -> object:
    """Make a list of "1,2"."""
    return value.split(",") if isinstance(value, str) else value


def _seconds(value: object) -> object:
    """Make seconds of "1:23.5" or "1:02:03", as FFmpeg writes times."""
    if not isinstance(value, str) or re.fullmatch(r"\s*[-+]?[0-9.]{1,99}\s*", value):
        return value
    clock = _CLOCK.fullmatch(value.strip())
    if clock is None:
        raise ValueError("must be seconds, mm:ss or hh:mm:ss")
    hours, minutes, seconds = clock.groups("0")
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)


def _token(text: str) -> str:
    """Refuse what could be guessed, and what an address or a cookie cannot hold as it is."""
    if not _TOKEN.fullmatch(text):
        raise ValueError("must be 12 to 128 letters, digits, - or _")
    return text


Token: TypeAlias = Annotated[str, AfterValidator(_token)]


def _jack_name(name: str) -> str:
    if re.fullmatch(r"[^\W_][\w .+-]{0,31}", name) is None:
        raise ValueError("must be 1 to 32 letters, digits, spaces or any of .+-_")
    return name


Several: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_several)]


class LiveSettings(StreamSettings):
    """What a live run is told; hop, lookahead and window are chosen for the machine if not given.

    Raises:
        SettingsError: a value or a name is wrong; one sentence.
    """

    table: ClassVar[str] = "live"

    sample_format: Literal["int16", "int24", "float32"] = harmless(
        "int24", panel="Sound", description="samples in the recorded files"
    )
    input: str | None = guarded(
        None,
        panel="Devices",
        unit="DEVICE",
        description="sound device to take in (its index or a part of its name), or a file to play",
        examples=["USB"],
    )
    system: bool = guarded(
        False,
        panel="Devices",
        description="take in whatever plays on this machine, and play the stems in its place",
    )
    input_channels: Annotated[tuple[int, ...] | None, BeforeValidator(_channels)] = harmless(
        None,
        panel="Devices",
        unit="CHANNELS",
        description="the channels to take in, one (mono) or two, from 1",
        examples=["1,2"],
    )
    output: Several = guarded(
        (),
        panel="Devices",
        unit="DEVICE",
        description="sound device to play on; may be given several times",
    )
    output_channels: int | None = harmless(
        None,
        panel="Devices",
        unit="N",
        ge=1,
        le=128,
        description="how many channels of each output to open [default: all, up to 32]",
        examples=[8],
    )
    samplerate: int | None = harmless(
        None,
        panel="Devices",
        unit="HZ",
        ge=8000,
        le=384_000,
        description="rate of the devices in Hz",
        examples=[48000],
    )
    blocksize: int | None = harmless(
        None,
        panel="Devices",
        unit="FRAMES",
        ge=16,
        le=16384,
        description="frames of a device block; without it 512, and on a card with --buffer low "
        "what a model that goes along the stream is soonest with",
        examples=[256],
    )
    buffer: Literal["low", "high"] = harmless(
        "high",
        panel="Devices",
        description="how much the devices buffer: low delays less, high is safer",
    )
    jack_name: Annotated[str, AfterValidator(_jack_name)] = guarded(
        "stemstream",
        panel="Devices",
        unit="NAME",
        description="what JACK calls this run, where the device is jack",
    )
    connect: bool = guarded(
        True, panel="Devices", description="on JACK, connect new ports to the sound card's"
    )
    latency: float | None = harmless(
        None,
        panel="Delay",
        unit="SECONDS",
        gt=0,
        le=600,
        description="the whole delay that is promised, in seconds, devices included",
        examples=[0.5],
    )
    calibrate: bool = harmless(
        False, panel="Delay", description="time the model again, though it was timed before"
    )
    adapt: bool = harmless(
        True, panel="Delay", description="where the model is too slow, give up some of its work"
    )
    route: Several = harmless(
        (),
        panel="Mix",
        description="who plays where: STEM=1,2, mix=3,4 or mix-STEM=5,6, with OUTPUT: before it "
        "where there are several; may be given several times",
    )
    scene: Path | None = guarded(
        None,
        panel="Mix",
        unit="FILE",
        description="routes and levels in a TOML file, read again when it changes",
    )
    scenes: Path | None = guarded(
        None,
        panel="Mix",
        unit="FOLDER",
        description="folder of the scenes that are recalled and saved by name [default: that of "
        "the scene file, or one of your own]",
    )
    fallback: Fallback = harmless(
        "dry", panel="Delay", description="what plays where the stems are missing"
    )
    stream: StreamNumber = harmless(None, panel="Song", unit="N")
    start: Annotated[float, BeforeValidator(_seconds)] = harmless(
        0.0,
        panel="Song",
        unit="TIME",
        ge=0,
        le=_DAY_SECONDS,
        description="where in the file to begin, in seconds or mm:ss",
        examples=["1:30"],
    )
    end: Annotated[float | None, BeforeValidator(_seconds)] = harmless(
        None,
        panel="Song",
        unit="TIME",
        ge=0,
        le=_DAY_SECONDS,
        description="where in the file to end, in seconds or mm:ss",
        examples=["2:45"],
    )
    loop: bool = harmless(
        False, panel="Song", description="play the file, or this part of it, again and again"
    )
    duration: float | None = harmless(
        None,
        panel="Run",
        unit="SECONDS",
        gt=0,
        le=MOST_COUNT,
        description="stop after this many seconds",
        examples=[60],
    )
    record: Path | None = guarded(
        None, panel="Run", unit="FOLDER", description="folder to record the stems to"
    )
    takes: Path | None = guarded(
        None,
        panel="Run",
        unit="FOLDER",
        description="folder for recordings that are begun during the run [default: takes]",
    )
    project: ProjectKind | None = guarded(
        None,
        panel="Run",
        unit="DAW",
        description="beside each recording, also write a project that opens its stems side by side",
        examples=["reaper"],
    )
    report: Path | None = guarded(
        None,
        panel="Run",
        unit="FILE",
        description="write what was measured to this .json, .csv or .html",
    )
    osc: int | None = guarded(
        None,
        panel="Run",
        unit="PORT",
        ge=0,
        le=65535,
        description="port for OSC; 0 takes a free one and says which",
        examples=[9000],
    )
    metrics: int | None = guarded(
        None,
        panel="Run",
        unit="PORT",
        ge=0,
        le=65535,
        description="port for Prometheus; 0 takes a free one and says which",
        examples=[9100],
    )
    midi: Name | None = guarded(
        None,
        panel="Run",
        unit="PORT",
        description="MIDI controller to mix with, by a part of its port's name",
        examples=["nano"],
    )
    midi_map: Path | None = guarded(
        None,
        panel="Run",
        unit="FILE",
        description="which of its controls moves what (TOML); what is learned is kept in it",
    )
    page: int | None = guarded(
        None,
        panel="Run",
        unit="PORT",
        ge=0,
        le=65535,
        description="port for the page, a mixing desk in the browser; 0 takes a free one and says "
        "which",
        examples=[8080],
    )
    token: Token | None = guarded(
        None,
        panel="Run",
        unit="TOKEN",
        description="what the page's address holds to be the desk; without it random, and on this "
        "machine alone none",
        examples=["our-rehearsal-room"],
        repr=False,
    )
    announce: bool = guarded(
        False, panel="Run", description="tell the local network by name where the page is"
    )
    host: str = guarded("127.0.0.1", panel="Run", description="address that all ports are open on")

    @model_validator(mode="after")
    def _fit_pace(self) -> Self:
        if self.needs_survey:
            raise ConflictError(
                "{normalize}=track and {loudness} need the whole track first, and a live run has "
                "no whole; try {normalize}=rms and no {loudness}"
            )
        return self

    @model_validator(mode="after")
    def _fit_system(self) -> Self:
        if self.system and (self.input is not None or self.output):
            raise ConflictError(
                "{system} takes in what the sound server plays, and plays on its default output; "
                "leave out {input} and {output}"
            )
        return self

    @model_validator(mode="after")
    def _fit_midi(self) -> Self:
        if self.midi_map is not None and self.midi is None:
            raise ConflictError("{midi_map} is for a controller; name its port with {midi}")
        return self

    @model_validator(mode="after")
    def _fit_excerpt(self) -> Self:
        if self.end is not None and self.end <= self.start:
            raise ConflictError(
                f"{{end}}={self.end:g} must be after {{start}}={self.start:g} (in seconds); "
                f"try {{end}}={self.start + 30:g}"
            )
        return self

    @property
    def is_local(self) -> bool:
        """Whether the ports are open to this machine alone."""
        with suppress(ValueError):
            return ip_address(self.host).is_loopback
        return self.host == "localhost"

    def idle(self, asked: Container[str]) -> str | None:
        """See `Checked.idle`."""
        for name in ("token", "announce"):
            if name in asked and getattr(self, name) and self.page is None:
                return f"{{{name}}} is for the page; name its port with {{page}}"
        if "announce" in asked and self.announce and self.is_local:
            return (
                f"{{announce}} is for the network, and {{host}}={self.host} is this machine alone; "
                "add {host} 0.0.0.0"
            )
        if "host" in asked and self.page is None and self.osc is None and self.metrics is None:
            return "{host} is for open ports; name one with {page}, {osc} or {metrics}"
        return super().idle(asked)
