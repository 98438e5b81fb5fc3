"""The messages of the WebSocket at ``/control``: what the page sends, and what it is sent.

Each is one JSON object in a text message. `docs/control.md` tells them in words, `schema` as a JSON
schema; what is wrong with a message from outside is one sentence, whatever its bytes are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StrictBool, TypeAdapter, ValidationError
from pydantic.json_schema import models_json_schema
from pydantic_core import PydanticSerializationError

from streamer.errors import SettingsError
from streamer.live.control.osc import LONGEST_ADDRESS

VERSION: Final = 1
"""Grows when a page that knows the older messages could no longer follow."""
LARGEST_BYTES: Final = 4096
"""The longest message that a client may send."""
LONGEST_TEXT: Final = 256

Number: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]
Value: TypeAlias = Number | str
Dbfs: TypeAlias = Annotated[float, Field(ge=-120, description="dBFS; -120 is silence")]
Levels: TypeAlias = Annotated[
    tuple[Dbfs, Dbfs], Field(description="peak and RMS since the last message")
]
Text: TypeAlias = Annotated[str, Field(max_length=LONGEST_TEXT)]
Address: TypeAlias = Annotated[str, Field(pattern="^/", max_length=LONGEST_ADDRESS)]


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


# From the page


class Set(_Message):
    """Set a value; its address is one of those in ``state``."""

    set: Address
    value: Number | StrictBool | Text = Field(description="as the address takes it")


class Act(_Message):
    """Do something that is not a value: save a scene, rename one, learn MIDI."""

    act: Address
    value: Text | Annotated[tuple[Text, ...], Field(max_length=2)] | None = None

    @property
    def arguments(self) -> tuple[str, ...]:
        """The value as the arguments of a command."""
        if self.value is None:
            return ()
        return (self.value,) if isinstance(self.value, str) else self.value


# To the page


class Link(_Message):
    """A page of this run, for its QR code. The code itself is at ``qr``."""

    name: str = Field(description='"desk", "viewer", or the name of a listener')
    path: str = Field(description="where the page is, without a token")
    url: str = Field(description="its whole address, token and all: for another device")
    qr: str = Field(description="where the QR code is, as SVG; its address holds the token")


class Device(_Message):
    """A sound device of the run, and how it is."""

    name: str = Field(description="as in ``outputs`` of the meters, where it plays")
    hostapi: str = Field(description='"ALSA", "JACK", ...')
    input_channels: int = Field(description="how many it takes in; 0: it does not")
    output_channels: int = Field(description="how many it plays; 0: it does not")
    state: str = Field(description='"running", or "gone": then it is tried again and again')
    trouble: str = Field(description="why the last try failed, in words; may be empty")
    losses: int = Field(description="how often it went")


class Status(_Message):
    """How the run is, when it changes, at most 4 times a second."""

    type: Literal["status"] = "status"
    state: str = Field(description='"starting", "running", "degraded", ...')
    reason: str = Field(description="why it is in that state, in words; may be empty")
    detail: str
    model: str
    samplerate: int
    delay_seconds: Number = Field(description="the announced delay, devices included")
    load: Number = Field(description="the model's time over the length of the sound")
    dry_share: Annotated[float, Field(ge=0)] = Field(description="played without stems, 0 to 1")
    xruns: int
    dropped_frames: int
    deadline_misses: int
    device_losses: int
    devices: tuple[Device, ...] = Field(
        description="the sound devices of the run, the input's first"
    )
    clips: dict[str, tuple[int, ...]] = Field(
        description="by output and channel: in how many looks it was bent under full scale"
    )
    song_seconds: Number | None = Field(description="the position in the file that is played")
    song_length_seconds: Number | None
    scenes: tuple[str, ...] = Field(description="the names of the scenes that can be recalled")
    recording: str = Field(description="the recording in words; empty where there is none")
    recording_seconds: Number | None = Field(
        description="how long it is so far; the end of it is not on the disk yet"
    )
    recording_left_seconds: Number | None = Field(description="how long the disk will last")


class State(_Message):
    """Everything. It comes first, and again where more than values has changed; then it replaces
    all that came before.
    """

    type: Literal["state"] = "state"
    version: Literal[1] = VERSION
    id: int = Field(description="this client's number, as in ``by`` of ``values``")
    role: Literal["desk", "listener", "viewer"]
    listener: str | None = Field(None, description="whose page it is, where role is listener")
    stems: tuple[str, ...] = Field(description="the names, in the model's order")
    values: dict[str, Value] = Field(description="what this client sees, by address")
    writable: tuple[str, ...] = Field(description="the addresses that it may set")
    acts: tuple[str, ...] = Field(description="the addresses that it may act on")
    links: tuple[Link, ...] = Field((), description="the pages of this run; for the desk alone")
    status: Status


class Values(_Message):
    """Values that have changed, whoever changed them."""

    type: Literal["values"] = "values"
    values: dict[str, Value]
    by: dict[str, int] = Field(
        description="the client that set a value last, by address; not there if it was no page"
    )


class Meters(_Message):
    """Levels, 20 times a second. A slow client misses some."""

    type: Literal["meters"] = "meters"
    stems: dict[str, Levels]
    outputs: dict[str, tuple[Levels, ...]] = Field(description="by output and channel")


class Peaks(_Message):
    """The loudest sample of each stem in short stretches of time, for a picture of the sound.

    Each is sent once; the first message has the last seconds. For the desk and viewers.
    """

    type: Literal["peaks"] = "peaks"
    start: int = Field(description="the number of the first stretch; they count on")
    rate: int = Field(description="stretches in a second")
    stems: dict[str, tuple[Annotated[float, Field(ge=0)], ...]] = Field(
        description="linear, 1 is full scale; the same number for each stem"
    )


class Error(_Message):
    """A message of this client was not obeyed; nothing has changed."""

    type: Literal["error"] = "error"
    address: str = Field(description="what it was about; empty where it had no address")
    sentence: str


ToPage: TypeAlias = State | Values | Meters | Status | Peaks | Error
FROM_PAGE: Final[tuple[type[_Message], ...]] = (Set, Act)
TO_PAGE: Final[tuple[type[_Message], ...]] = (State, Values, Meters, Status, Peaks, Error)
_FROM_PAGE: Final[TypeAdapter[Set | Act]] = TypeAdapter(Set | Act)


class MessageError(SettingsError):
    """What a client sent is no message of the protocol."""


def parse(text: str) -> Set | Act:
    """Return what a client sent.

    Raises:
        MessageError: it is no message; one sentence without what was sent.
    """
    try:
        return _FROM_PAGE.validate_json(text)
    except (ValidationError, ValueError):
        raise MessageError(
            'a message must be {"set": ADDRESS, "value": NUMBER} or {"act": ADDRESS, "value": TEXT}'
            "; see docs/control.md"
        ) from None


def plain(message: ToPage) -> str:
    """Return a message as the JSON that is sent."""
    try:
        return message.model_dump_json()
    except PydanticSerializationError:  # a file's name need not be UTF-8; here it is escaped
        return json.dumps(message.model_dump(mode="json"))


def schema() -> Mapping[str, Any]:
    """Return the JSON schema of all messages, both ways."""
    kinds = [(one, "serialization") for one in TO_PAGE] + [(one, "validation") for one in FROM_PAGE]
    _, definitions = models_json_schema(kinds, ref_template="#/$defs/{model}")  # type: ignore[arg-type]
    name = "#/$defs/{}".format
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "stemstream /control",
        "description": "The JSON messages of the WebSocket at /control; see control.md.",
        "$defs": {
            "ToPage": {"oneOf": [{"$ref": name(one.__name__)} for one in TO_PAGE]},
            "FromPage": {"oneOf": [{"$ref": name(one.__name__)} for one in FROM_PAGE]},
            **definitions["$defs"],
        },
    }
