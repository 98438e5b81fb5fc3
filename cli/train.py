"""`stemstream train`: fine-tune a model on songs whose stems are known."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from cli.options import with_settings
from cli.separate import Config
from streamer.errors import SettingsError
from streamer.resolve import resolve
from streamer.train.settings import TrainSettings

PACKAGES = ("lightning_fabric", "museval", "python_stretch", "scipy", "tensorboard")
"""What the extra ``train`` brings."""


@with_settings(TrainSettings)
def train(
    *,
    preview: Annotated[
        Path | None,
        typer.Option(
            "--preview",
            help="write what each augmentation does to this folder, to listen to, and end",
            metavar="FOLDER",
            rich_help_panel="Augmentation",
        ),
    ] = None,
    config: Config = None,
    flags: dict[str, object],
) -> None:
    """Train a model on songs with their stems: OUT/model.safetensors is the best it came to.

    A folder of songs holds SONG/{drums,bass,other,vocals}.wav (or FLAC and so on), SONG.stem.mp4,
    or train/ and test/ as MUSDB has them. Ctrl-C saves; --resume goes on.
    """
    settings = resolve(flags, config=config, kind=TrainSettings).settings
    missing = [package for package in PACKAGES if find_spec(package) is None]
    if missing:
        raise SettingsError(
            f"train needs packages that are not here ({', '.join(missing)}); "
            "`pip install 'stemstream[train]'`"
        )
    # several processes look for parameters without a gradient, and torch warns where all have one;
    # it reads this when it is loaded
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    # imported here, since help and wrong flags need not wait for it
    from cli.train_run import run_preview, run_train

    raise typer.Exit(run_preview(settings, preview) if preview else run_train(settings))
