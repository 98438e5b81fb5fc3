"""Everything that a live run can be told, in one frozen and checked object."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from streamer.delay import Fallback
from streamer.settings import StreamSettings


def _several(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _channels(value: object) -> object:
    """Make a list of "1,2"."""
    return value.split(",") if isinstance(value, str) else value


Several = Annotated[tuple[str, ...], BeforeValidator(_several)]


class LiveSettings(StreamSettings):
    """What a live run is told; hop, lookahead and window are chosen for the machine if not given.

    Raises:
        pydantic.ValidationError: a value is out of its range; `streamer.resolve` says it in one
            sentence.
    """

    table: ClassVar[str] = "live"

    sample_format: Literal["int16", "int24", "float32"] = Field(
        "int24", description="samples in the recorded files"
    )
    input: str | None = Field(
        None,
        description="sound device to take in (its index or a part of its name), or a file to play",
        examples=["USB"],
    )
    input_channels: Annotated[tuple[int, ...] | None, BeforeValidator(_channels)] = Field(
        None,
        description="the channels to take in, one (mono) or two, from 1",
        examples=["1,2"],
    )
    output: Several = Field((), description="sound device to play on; may be given several times")
    samplerate: int | None = Field(
        None, ge=8000, le=384_000, description="rate of the devices in Hz", examples=[48000]
    )
    blocksize: int = Field(512, ge=16, le=16384, description="frames of a device block")
    buffer: Literal["low", "high"] = Field(
        "high", description="how much the devices buffer: low delays less, high is safer"
    )
    latency: float | None = Field(
        None,
        gt=0,
        description="the whole delay that is promised, in seconds, devices included",
        examples=[0.5],
    )
    calibrate: bool = Field(False, description="time the model again, though it was timed before")
    adapt: bool = Field(True, description="where the model is too slow, give up some of its work")
    route: Several = Field(
        (),
        description="who plays where: STEM=1,2, mix=3,4 or mix-STEM=5,6, with OUTPUT: before it "
        "where there are several; may be given several times",
    )
    scene: Path | None = Field(
        None, description="routes and levels in a TOML file, read again when it changes"
    )
    fallback: Fallback = Field("dry", description="what plays where the stems are missing")
    loop: bool = Field(False, description="play the file again and again")
    duration: float | None = Field(
        None, gt=0, description="stop after so many seconds", examples=[60]
    )
    record: Path | None = Field(None, description="folder to record the stems to")
    report: Path | None = Field(
        None, description="write what was measured to this .json, .csv or .html"
    )
    osc: int | None = Field(None, ge=1, le=65535, description="port for OSC", examples=[9000])
    metrics: int | None = Field(
        None, ge=1, le=65535, description="port for Prometheus", examples=[9100]
    )
    host: str = Field("127.0.0.1", description="address that both ports are open on")
