"""However long the music, the memory stays the same."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from streamer.audio import Samples
from streamer.engine import run
from streamer.files import Source, open_track, stem_paths
from streamer.measure import TrackMeasure
from streamer.models.backends.passthrough import PassthroughSeparator
from streamer.models.separator import Bag, Member
from streamer.processor import Processor
from streamer.settings import Settings

SOURCE_RATE, MODEL_RATE = 8000, 6000  # low, so that an hour goes fast; unlike, to be resampled
WINDOW_SECONDS = 7.8


class Endless(Source):
    """Mono noise that is made as it is read."""

    name, channels, rewindable = "endless", 1, False
    samplerate, sample_format = SOURCE_RATE, "float32"

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.frames = int(seconds * SOURCE_RATE)
        self.tags: dict[str, str] = {}
        self.losses: list[str] = []

    def blocks(self, block_frames: int = 65536) -> Iterator[Samples]:
        draw = np.random.default_rng(0)
        for start in range(0, self.frames, block_frames):
            frames = min(block_frames, self.frames - start)
            yield draw.random((frames, 1), np.float32) - np.float32(0.5)

    def reopen(self) -> None:
        raise NotImplementedError

    def seek(self, frame: int) -> None:
        raise NotImplementedError

    def close(self) -> None:
        pass


def separate(seconds: float, out: Path) -> None:
    """The file run, less the model: all stages, a worker's thread, and two files of stems."""
    separator = PassthroughSeparator(int(WINDOW_SECONDS * MODEL_RATE))
    separator.samplerate = MODEL_RATE
    bag = Bag("passthrough", [Member(separator, (1.0,) * 4)], separator.names, MODEL_RATE, 2)
    settings = Settings(stems=separator.names[:2], out=out)
    source = Endless(seconds)
    paths = stem_paths(settings, bag.name, "endless.wav", settings.stems)
    measure = TrackMeasure(settings.stems, settings.stems)
    with (
        Processor(settings, bag=bag, jobs=1) as processor,
        open_track(settings, source, 1, paths, settings.stems) as sink,
    ):
        for stems in run(source, processor):
            measure.feed(stems, {})
            sink.write(stems)
    assert processor.emitted_frames == source.frames


def peak_kilobytes(minutes: int) -> int:
    """The most memory that a fresh process held while it separated so much music."""
    # -P: else Python would look into this file's folder first, and take tests/ringbuffer for ours
    words = [sys.executable, "-P", __file__, str(60 * minutes)]
    told = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return int(told) // (1024 if sys.platform == "darwin" else 1)  # bytes there, KiB elsewhere


def test_an_hour_takes_no_more_memory_than_two_minutes() -> None:
    short, long = peak_kilobytes(2), peak_kilobytes(60)
    assert long <= 1.05 * short, f"{short} kB for 2 minutes, {long} kB for 60"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        separate(float(sys.argv[1]), Path(folder))
    sys.stdout.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
