"""Which of a model's stems are needed, and the stems that are made from them.

Everything but one, what the model left over, and its place in `other`.
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
    """``needed`` of the model's stems give ``names``, the stems that go out, by ``recipe``.

    The recipe takes the needed stems ``(needed, frames, channels)`` and the mix ``(frames,
    channels)`` and returns ``(names, frames, channels)``.
    """

    needed: tuple[str, ...]
    names: tuple[str, ...]
    recipe: Callable[[Samples, Samples], Samples]


def derive(model: str, model_stems: Sequence[str], settings: StreamSettings) -> Derivation:
    """Return what the settings ask of a model of that name, which has ``model_stems``.

    Raises:
        SettingsError: a stem is not the model's.
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
    """As `demucs --two-stems`: the others added up, or the mix less the stem, or nothing."""
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
