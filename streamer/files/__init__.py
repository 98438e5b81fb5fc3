"""Audio in files and pipes: sources that are read in a stream, sinks that appear only when whole.

::

    with open_source("song.flac") as source:
        encoding = Encoding(format="wav", sample_format="int24")
        with FileSink(path, source.samplerate, source.channels, encoding, tags=source.tags) as sink:
            for block in source.blocks():
                sink.write(block)
            sink.commit()                # a sink that is left without it leaves nothing behind
    source.losses                        # one sentence for each part that could not be read

`open_source` reads any file that libsndfile or FFmpeg decodes. `reference_stems` reads the true
stems of a stem file, and `stem_streams` tells which stream is which.

`FileSink` writes one stem, `StemMp4Sink` one file of four stems, `PipeSink` a stem to a pipe.
`RescaleSink` holds a stem back until its peak is known. `track_lock` keeps two runs apart;
`demo_song` is a short song from the package stempeg.

Out of scope: sound devices, resampling, downmixing, and pictures in tags.
"""

from __future__ import annotations

from streamer.files.decode.demo_song import demo_song
from streamer.files.decode.opening import MIXTURE, open_source, reference_stems, stem_streams
from streamer.files.decode.source import Source
from streamer.files.encode.file_sink import Encoding, FileSink
from streamer.files.encode.paths import (
    left_to_write,
    output_paths,
    project_place,
    refuse_inputs,
    stem_paths,
)
from streamer.files.encode.pipe import PipeSink
from streamer.files.encode.rescale import RescaleSink
from streamer.files.encode.sink import Sink
from streamer.files.encode.stem_mp4 import Lossless, StemMp4Sink
from streamer.files.encode.track import open_track
from streamer.files.encode.wav import PcmCoder
from streamer.files.folder import track_lock
from streamer.files.loudness import LoudnessMeter
from streamer.files.part import remove_stale_parts

__all__ = [
    "MIXTURE",
    "Encoding",
    "FileSink",
    "Lossless",
    "LoudnessMeter",
    "PcmCoder",
    "PipeSink",
    "RescaleSink",
    "Sink",
    "Source",
    "StemMp4Sink",
    "demo_song",
    "left_to_write",
    "open_source",
    "open_track",
    "output_paths",
    "project_place",
    "reference_stems",
    "refuse_inputs",
    "remove_stale_parts",
    "stem_paths",
    "stem_streams",
    "track_lock",
]
