"""FFmpeg's audio frames as arrays, and arrays as such frames, around two faults of PyAV.

Planes are asked for one by one: PyAV's own list of them (`AudioFrame.planes`, and with it
`to_ndarray` and `from_ndarray`) ends at a null pointer, and behind eight planes there is none.

A channel layout of an order of its own, as MOV and CAF files can state, owns memory. PyAV copies
the layout without that memory, and both copies free it. `channels_of` and `keep_layout` make sure
that only one does.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import NamedTuple, cast

import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.plane import AudioPlane
from numpy.typing import NDArray

from streamer.audio import Samples


class _Kind(NamedTuple):
    """A sample type of numpy, with its silence and full scale (0: floats stay as they are)."""

    dtype: str
    silence: int = 0
    full_scale: float = 0.0


_KINDS = {
    "u8": _Kind("u1", 128, 2.0**7),
    "s16": _Kind("i2", 0, 2.0**15),
    "s32": _Kind("i4", 0, 2.0**31),
    "s64": _Kind("i8", 0, 2.0**63),
    "flt": _Kind("f4"),
    "dbl": _Kind("f8"),
}


def channels_of(context: AudioCodecContext) -> int:
    """Return the channels of a decoder that is not open yet, and set their usual order in it."""
    # whoever asks for a layout frees what it owns, so it must be replaced at once
    channels = context.channels
    if channels > 0:
        context.layout = usual_layout(channels)
    return channels


def usual_layout(channels: int) -> AudioLayout:
    """Return FFmpeg's order for this number of channels, or a layout without order."""
    try:
        return AudioLayout(f"{channels}c")
    except ValueError:
        return AudioLayout(f"{channels}C")


def keep_layout(frame: AudioFrame) -> None:
    """Have the layout of a decoded frame freed by the frame alone.

    Python's object for it then stays for ever: about 60 bytes, and only for orders without a name.
    """
    if "(" in frame.layout.name:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(frame.layout))


def to_float(frame: AudioFrame) -> Samples:
    """A decoded frame as float32 ``(frames, channels)``, integers divided by 2**(bits - 1)."""
    channels = frame.layout.nb_channels
    kind = _KINDS[frame.format.packed.name]
    if frame.format.is_planar:
        shaped = np.stack([_array(one, kind, frame.samples) for one in _planes(frame)], axis=1)
    else:
        (plane,) = _planes(frame)
        shaped = _array(plane, kind, frame.samples * channels).reshape(-1, channels)
    if kind.full_scale:
        shaped = (shaped.astype(np.float64) - kind.silence) / kind.full_scale
    return np.array(shaped, dtype=np.float32, order="C")


def from_planar(samples: NDArray[np.generic], sample_format: str, layout: str) -> AudioFrame:
    """A frame of ``samples`` ``(frames, channels)`` in a planar format of the same type."""
    frame = AudioFrame(sample_format, layout, len(samples))
    for plane, channel in zip(_planes(frame), samples.T, strict=True):
        plane.update(channel.tobytes())
    return frame


def _planes(frame: AudioFrame) -> Iterator[AudioPlane]:
    count = frame.layout.nb_channels if frame.format.is_planar else 1
    for index in range(count):
        yield AudioPlane(frame, index)


def _array(plane: AudioPlane, kind: _Kind, count: int) -> NDArray[np.generic]:
    """Return the samples of a plane, not copied."""
    buffer = cast(memoryview, plane)  # what PyAV's annotations do not tell
    return np.frombuffer(buffer, kind.dtype, count)
