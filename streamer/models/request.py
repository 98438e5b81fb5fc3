"""What is asked of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

from streamer.models.choice import Backend, Choices
from streamer.settings import Library, Precision


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """Which model is wanted, and how it is to run.

    Args:
        name: a model of the registry, ``auto``, a checkpoint file, the signature of a network,
            ``hf://[NAMESPACE/]NAME``, or a bag or signature in ``repo``.
        stems: which stems are wanted (None: all). The bag names all the same; the others' values
            mean nothing where a bag's networks were left out.
        repo: a folder of checkpoints, as for ``demucs --repo``; it goes before the registry.
        trust_checkpoint: load pickles too, which can run code.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``, ``xpu``.
        threads: how many threads a model may use in this process (None: leave it).
        window: the window's length in seconds that the user chose (None: the model's own).
        exact_window: show a transformer a window as long as it is, without the padding to its
            training length with which `demucs.apply.apply_model` has it work; so a shorter window
            takes less time.
        backend: what runs it; ``auto`` is what is fastest here, which is measured the first time
            and takes some seconds; so is the precision where it may be less than float32. A
            `Backend` is both.
        precision: the least precise numbers it may compute in (None: float32, except for models
            that were made to take less).
        choices: what is known of the backends' speed (None: what is kept on disk).
    """

    name: str
    stems: Sequence[str] | None = None
    repo: Path | None = None
    trust_checkpoint: bool = False
    device: str = "auto"
    threads: int | None = None
    window: float | None = None
    exact_window: bool = False
    backend: Literal["auto"] | Library | Backend = "auto"
    precision: Precision | None = None
    choices: Choices | None = None


class ModelOptions(TypedDict, total=False):
    """The fields of `ModelRequest` but the name, as arguments of a function."""

    stems: Sequence[str] | None
    repo: Path | None
    trust_checkpoint: bool
    device: str
    threads: int | None
    window: float | None
    exact_window: bool
    backend: Literal["auto"] | Library | Backend
    precision: Precision | None
    choices: Choices | None
