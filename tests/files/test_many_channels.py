"""One to 64 channels, in every container that takes so many, against the ffmpeg command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile

from streamer.audio import Samples
from streamer.errors import SourceError
from streamer.files import Encoding, FileSink, open_source

Ffmpeg = Callable[..., bytes]
Decode = Callable[..., Samples]
RATE = 48000
FRAMES = 6000


class Kind(NamedTuple):
    """How to make a file, and how far two decoders of it may be apart."""

    name: str
    options: tuple[str, ...] = ()
    most_channels: int = 64
    close: float = 0.0


# two versions of one lossy decoder differ in the last bits
LOSSY = 3e-4
KINDS = [
    Kind("float.wav", ("-c:a", "pcm_f32le")),
    Kind("s64.wav", ("-c:a", "pcm_s64le")),
    Kind("rf64.wav", ("-rf64", "always")),
    Kind("a.w64"),
    Kind("a.aiff"),
    Kind("a.caf"),
    Kind("a.au"),
    Kind("a.mov", ("-c:a", "pcm_s24le")),
    Kind("pcm.mka", ("-c:a", "pcm_s16le")),
    Kind("s64.mka", ("-c:a", "pcm_s64le")),
    Kind("planar16.nut", ("-c:a", "pcm_s16le_planar")),
    Kind("planar32.nut", ("-c:a", "pcm_s32le_planar")),
    Kind("double.nut", ("-c:a", "pcm_f64le")),
    Kind("a.wv", most_channels=8, close=2.0**-22),
    Kind("a.tta", most_channels=2),
    Kind("a.ogg", ("-c:a", "libvorbis"), close=LOSSY),
    Kind("vorbis.mka", ("-c:a", "libvorbis"), close=LOSSY),
    Kind("a.opus", ("-mapping_family", "255"), close=LOSSY),
    Kind("a.flac", most_channels=8),
    Kind("flac.mka", ("-c:a", "flac"), most_channels=8),
    Kind("alac.m4a", ("-c:a", "alac"), most_channels=2),
    Kind("a.m4a", most_channels=8, close=0.02),  # FFmpeg's AAC has bands of noise, drawn anew
    Kind("a.wma", most_channels=2, close=LOSSY),
    Kind("a.mp3", most_channels=2, close=LOSSY),
]


def sines(channels: int) -> Samples:
    """A pitch for each channel, so that swaps show."""
    time = np.arange(FRAMES)[:, None] / RATE
    return (0.3 * np.sin(2 * np.pi * (220 + 55 * np.arange(channels)) * time)).astype(np.float32)


@pytest.mark.parametrize("channels", [*range(1, 11), 12, 16, 17, 25, 32, 33, 63, 64])
def test_eight_channels_and_any_other_number_give_the_right_frames(
    tmp_path: Path, ffmpeg: Ffmpeg, channels: int
) -> None:
    soundfile.write(tmp_path / "song.wav", sines(channels), RATE, subtype="FLOAT")
    kinds = [one for one in KINDS if channels <= one.most_channels]
    # one command to make them all, one to decode them all
    made = [word for one in kinds for word in (*one.options, tmp_path / one.name)]
    ffmpeg("-i", tmp_path / "song.wav", *made)
    inputs = [word for one in kinds for word in ("-i", tmp_path / one.name)]
    decoded = [
        word
        for index, one in enumerate(kinds)
        for word in ("-map", f"{index}:a", "-f", "f32le", tmp_path / f"{one.name}.raw")
    ]
    ffmpeg(*inputs, *decoded)
    for one in kinds:
        theirs = np.fromfile(tmp_path / f"{one.name}.raw", np.float32).reshape(-1, channels)
        with open_source(tmp_path / one.name) as source:
            assert source.channels == channels, one.name
            samples = np.concatenate(list(source.blocks()))
        assert samples.shape == theirs.shape, one.name
        np.testing.assert_allclose(samples, theirs, rtol=0, atol=one.close, err_msg=one.name)


def test_samples_of_64_bits_keep_their_value(tmp_path: Path, ffmpeg: Ffmpeg) -> None:
    soundfile.write(tmp_path / "song.wav", sines(2), RATE, subtype="FLOAT")
    ffmpeg("-i", tmp_path / "song.wav", "-c:a", "pcm_s64le", tmp_path / "s64.wav")
    with open_source(tmp_path / "s64.wav") as source:
        samples = np.concatenate(list(source.blocks()))
    np.testing.assert_allclose(samples, sines(2), rtol=0, atol=2.0**-30)


@pytest.mark.parametrize("kind", ["m4a", "opus"])
def test_eight_channels_are_written_without_a_crash(
    tmp_path: Path, decode: Decode, kind: str
) -> None:
    path = tmp_path / f"a.{kind}"
    with FileSink(path, RATE, 8, Encoding(kind)) as sink:
        sink.write(np.tile(sines(8), (24, 1)))
        sink.commit()
    theirs = decode(path, 8)
    with open_source(path) as source:
        samples = np.concatenate(list(source.blocks()))
    assert samples.shape == theirs.shape
    # AAC and Opus are not bit exact, but no channel may be lost
    loud = np.sqrt(np.mean(samples**2, axis=0))
    np.testing.assert_allclose(np.delete(loud, 3), 0.3 / np.sqrt(2), rtol=0.1)  # 3: LFE


def test_more_channels_than_64_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "song.wav", sines(65), RATE, subtype="FLOAT")
    with pytest.raises(SourceError, match="states 65 channels"):
        open_source(tmp_path / "song.wav")
