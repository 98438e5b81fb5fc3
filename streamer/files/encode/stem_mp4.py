"""Write a track as one stem file (NI ``.stem.mp4``), which DJ software plays stem by stem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from streamer.audio import Samples
from streamer.errors import SettingsError
from streamer.files.encode.file_sink import AAC_BIT_RATE
from streamer.files.encode.sink import FileOutput
from streamer.files.mp4_boxes import STEM_NAMES, add_stem_box
from streamer.files.quantise import Quantiser
from streamer.files.tags import write_tags

if TYPE_CHECKING:
    from streamer.files.encode.write_av import AvWriter


@dataclass(frozen=True, slots=True)
class Lossless:
    """ALAC of 16 or 24 bits, dithered from ``seed``."""

    bits: Literal[16, 24]
    dither: bool = True
    seed: int = 0

    @property
    def dtype(self) -> str:
        """The type of its samples; the upper bits count."""
        return "int16" if self.bits == 16 else "int32"


class StemMp4Sink(FileOutput):
    """Five streams in one file: the mix, then drums, bass, other and vocals.

    ``names`` is the order in which the stems will come. The streams are ``lossless``, or without
    it AAC at 256 kb/s. The file appears under its name only when it is whole.

    Raises:
        SettingsError: the stems are not those four.
        OutputExistsError: the file exists and ``overwrite`` is not set.
        SinkError: it cannot be opened for writing.
    """

    _encoder: AvWriter | None = None

    def __init__(
        self,
        path: Path,
        samplerate: int,
        channels: int,
        names: Sequence[str],
        *,
        lossless: Lossless | None = None,
        tags: Mapping[str, str] | None = None,
        overwrite: bool = False,
    ) -> None:
        if sorted(names) != sorted(STEM_NAMES):
            raise SettingsError(
                f"format=stem.mp4 holds {', '.join(STEM_NAMES)}, not {', '.join(names)};"
                " choose a model with these four stems, or another format"
            )
        super().__init__(path, overwrite=overwrite)
        self._order = [list(names).index(name) for name in STEM_NAMES]
        self._tags = tags or {}
        self._quantisers: list[Quantiser] = []
        if lossless is not None:
            self._quantisers = [
                Quantiser(lossless.bits, dither=lossless.dither, seed=[lossless.seed, stream])
                for stream in range(1 + len(STEM_NAMES))
            ]
        from streamer.files.encode.write_av import CODECS, AvWriter, nearest_rate

        with self._guard():
            codec = CODECS["m4a" if lossless is None else "alac"]
            rate = nearest_rate(codec, samplerate)
            if rate != samplerate:
                self.note = f"stem.mp4 does not take {samplerate} Hz; written at {rate} Hz"
            self._encoder = AvWriter(
                self._part.file,
                codec,
                samplerate,
                channels,
                streams=1 + len(STEM_NAMES),
                dtype="float32" if lossless is None else lossless.dtype,
                options={"b": str(AAC_BIT_RATE)} if lossless is None else {},
            )

    def write(self, mix: Samples, stems: Samples) -> None:
        """Append ``mix`` ``(frames, channels)`` and ``stems`` ``(4, frames, channels)``, float32.

        Raises:
            SinkError: it cannot be written; nothing is left behind.
        """
        assert self._encoder is not None
        with self._guard():
            streams = [mix, *(stems[index] for index in self._order)]
            self._encoder.write(*self._integers(streams))

    def _integers(self, streams: Sequence[Samples]) -> Sequence[NDArray[np.generic]]:
        """Return what the encoder takes: integers for ALAC, floats for AAC."""
        if not self._quantisers:
            return streams
        pairs = zip(self._quantisers, streams, strict=True)
        if self._quantisers[0].bits == 16:
            return [quantiser.feed(samples).astype(np.int16) for quantiser, samples in pairs]
        return [quantiser.feed(samples) << 8 for quantiser, samples in pairs]

    def _dress(self, path: Path) -> None:
        write_tags(path, "m4a", self._tags)
        add_stem_box(path)
