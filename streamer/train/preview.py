"""Examples to listen to: each augmentation alone, and all of them together."""

from __future__ import annotations

from pathlib import Path

import soundfile
import torch

from streamer.files.part import sink_errors
from streamer.train.corpora import Corpora
from streamer.train.examples import RECIPE, Examples, recipe_of
from streamer.train.settings import TrainSettings

EXAMPLES = 3


def write_preview(
    folder: Path, corpora: Corpora, settings: TrainSettings, frames: int
) -> list[Path]:
    """Write ``AUGMENTATION/NUMBER/STEM.wav`` and ``mixture.wav``, the sum; return the folders.

    ``none`` has the examples without augmentation. ``as-trained`` has all augmentations, as often
    as the settings say. A single augmentation is applied to every example.

    Raises:
        SinkError: they cannot be written.
    """
    recipes = {"none": {}, **{name: {name: 1.0} for name in RECIPE}}
    folders = []
    for name, recipe in {**recipes, "as-trained": recipe_of(settings)}.items():
        examples = Examples(corpora.training, corpora.chances, recipe, frames, settings.seed)
        place = folder / name.replace("_", "-")
        for number in range(EXAMPLES):
            _write(place / str(number), corpora, examples[number])
        folders.append(place)
    return folders


def _write(place: Path, corpora: Corpora, stems: torch.Tensor) -> None:
    track = corpora.training[0]
    sounds = {**dict(zip(track.song.stems, stems, strict=True)), "mixture": stems.sum(0)}
    for name, sound in sounds.items():
        path = place / f"{name}.wav"
        with sink_errors(path):
            place.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, sound.T.numpy(), track.samplerate, subtype="FLOAT")
