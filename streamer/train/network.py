"""The network that is trained: read from weights or new, and how long a stretch it takes."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import torch
from demucs.htdemucs import HTDemucs

from streamer.errors import ModelError, SettingsError
from streamer.evaluation.songs import CHANNELS
from streamer.models.networks.checkpoint import Network, read_network
from streamer.models.weights.places import get_file, place_of
from streamer.train.losses import STFT_SIZES
from streamer.train.settings import TrainSettings


@dataclass(frozen=True)
class Subject:
    """A network to train, and the ``file`` that it was read from; examples are ``frames`` long.

    ``note`` says why that is not as asked.
    """

    network: Network
    file: Path
    frames: int
    note: str | None


def load_subject(settings: TrainSettings) -> Subject:
    """Read the network that the settings name.

    Of a network nothing is taken for granted but that ``network(mix)``, with ``mix`` of ``(batch,
    channels, frames)``, is ``(batch, stems, channels, frames)``, and the attributes ``sources``,
    ``samplerate``, ``audio_channels``, ``segment``, and ``_init_args_kwargs`` as
    `demucs.states.capture_init` leaves it.

    Raises:
        ModelError: there is no such model, or it is none that can be trained.
        WeightsError: its weights cannot be had.
        SettingsError: the window is too short.
    """
    file = _find(settings)
    network = read_network(file, trust_checkpoint=settings.trust_checkpoint)
    if settings.from_scratch:
        torch.manual_seed(settings.seed)
        args, kwargs = copy.deepcopy(network._init_args_kwargs)
        network = type(network)(*args, **kwargs)
    network.requires_grad_(True)
    if network.audio_channels != CHANNELS:
        raise ModelError(
            f"{settings.model} has {network.audio_channels} channels, and songs are read in "
            "stereo; train a stereo model"
        )
    seconds, note = settings.window, None
    if isinstance(network, HTDemucs) and seconds > network.segment:
        # its transformer pads what is shorter and was never shown what is longer
        seconds = float(network.segment)
        note = (
            f"examples are {seconds:g} s long, not {settings.window:g}: {settings.model} "
            "is a transformer made for that length"
        )
    if settings.settle >= seconds:
        raise SettingsError(
            f"settle={settings.settle:g} must be less than an example of {seconds:g} s; try "
            f"{seconds / 8:g}"
        )
    frames = int(seconds * network.samplerate)
    if frames < 1:
        raise SettingsError(f"window={seconds:g} is less than one frame; try 10")
    counted = frames - int(settings.settle * network.samplerate)
    if settings.stft_loss and counted <= max(STFT_SIZES) // 2:  # which is mirrored at the ends
        raise SettingsError(
            f"the spectral loss needs over {max(STFT_SIZES) // 2} frames of an example, and "
            f"{counted} count; try a longer --window, or --stft-loss 0"
        )
    return Subject(network, file, frames, note)


def _find(settings: TrainSettings) -> Path:
    place = place_of(settings.model, repo=settings.repo, trust_checkpoint=settings.trust_checkpoint)
    if place is None:
        raise ModelError(f"{settings.model} has no weights to train; try htdemucs_mini")
    networks = place.bag.networks
    if len(networks) > 1:
        raise ModelError(
            f"{settings.model} is a bag of {len(networks)} networks, which are trained one by one; "
            f"name one of them: {', '.join(networks)}"
        )
    return get_file(place, networks[0])
