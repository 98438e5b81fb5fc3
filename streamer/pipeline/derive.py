"""Which of a model's stems are needed, and the stems that are made from them.

These are everything but one stem, the residual (the mix minus the sum of the stems), and `other`
with the residual in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from streamer.audio import Samples
from streamer.errors import SettingsError
from streamer.settings import StreamSettings

RESIDUAL = "residual"


@dataclass(frozen=True)
class Derivation:
    """The ``recipe`` makes the stems that go out (``names``) from the model's ``needed`` stems.

    The recipe takes the needed stems ``(needed, frames, channels)`` and the mix ``(frames,
    channels)`` and returns ``(names, frames, channels)``.
    """

    needed: tuple[str, ...]
    names: tuple[str, ...]
    recipe: Callable[[Samples, Samples], Samples]


def derive(model: str, model_stems: Sequence[str], settings: StreamSettings) -> Derivation:
    """Return the derivation that the settings ask for, from a model with ``model_stems``.

    Raises:
        SettingsError: the model lacks a stem.
    """
    every = tuple(model_stems)
    for name in settings.named_stems:
        if name not in every:
            raise SettingsError(f"{model} has no stem {name!r}; it has {', '.join(every)}")
    if settings.two_stems:
        return _two_stems(every, settings.two_stems, settings.other_method)
    wanted = tuple(settings.stems or every)
    picked = [every.index(name) for name in wanted]
    if settings.conserve:
        return _conserve(every, wanted, picked)
    if settings.residual:
        if RESIDUAL in map(str.casefold, wanted):
            raise SettingsError(
                f"residual=true needs the name {RESIDUAL}, which a stem of {model} has; leave that "
                "out with --stems"
            )
        return Derivation(
            every, (*wanted, RESIDUAL), lambda s, mix: _append(s[picked], mix - s.sum(0))
        )
    return Derivation(wanted, wanted, lambda s, _mix: s)


def _two_stems(every: tuple[str, ...], stem: str, method: str) -> Derivation:
    """As `demucs --two-stems`: the sum of the others, or the mix minus the stem, or nothing."""
    if method == "none":
        return Derivation((stem,), (stem,), lambda s, _mix: s)
    if method == "minus":
        return Derivation((stem,), (stem, f"minus_{stem}"), lambda s, mix: _append(s, mix - s[0]))
    needed = (stem, *(name for name in every if name != stem))
    return Derivation(needed, (stem, f"no_{stem}"), lambda s, _mix: _append(s[:1], s[1:].sum(0)))


def _conserve(every: tuple[str, ...], wanted: tuple[str, ...], picked: list[int]) -> Derivation:
    if "other" not in every:
        raise SettingsError(
            "conserve=True gives the residual to the stem 'other', and the model has none; "
            "try residual=True"
        )
    other = every.index("other")

    def recipe(stems: Samples, mix: Samples) -> Samples:
        whole = stems.copy()
        whole[other] += mix - stems.sum(0)
        return whole[picked]

    return Derivation(every, wanted, recipe)


def _append(stems: Samples, stem: Samples) -> Samples:
    return np.concatenate([stems, stem[np.newaxis]])
