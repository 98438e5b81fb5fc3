"""Bag files: the small YAML that says which networks make a model, and how they are averaged.

The format is Demucs's (`demucs.repo.BagOnlyRepo`): ``models`` (signatures), ``weights`` (one list
per network with one number per source; absent: all ones) and ``segment`` (seconds; absent: the
networks' own).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.abc import Traversable
from pathlib import Path

from streamer.errors import WeightsError

_SIGNATURE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")

Weights = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class BagFile:
    """What a bag file says. ``weights`` is ``[network][source]`` or None for all ones."""

    members: tuple[str, ...]
    weights: Weights | None = None
    segment: float | None = None

    def weights_for(self, sources: int) -> Weights:
        """Return the weights as ``[network][source]`` for that many sources.

        Raises:
            WeightsError: if the bag file was written for another number of sources.
        """
        if self.weights is None:
            return ((1.0,) * sources,) * len(self.members)
        if any(len(row) != sources for row in self.weights):
            raise WeightsError(
                f"the bag of {', '.join(self.members)} has weights for another number of stems "
                f"than the {sources} that its networks have; correct its .yaml file"
            )
        return self.weights


def read_bag(path: Path | Traversable) -> BagFile:
    """Read a bag file.

    Raises:
        WeightsError: if it cannot be read, is not YAML, or does not describe a bag.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(
            f"the bag file {path} cannot be read ({reason}); fetch it again"
        ) from error
    try:
        return _parse(content)
    except (TypeError, ValueError) as error:
        raise WeightsError(
            f"{path} is not a bag file of Demucs: {error}; see docs/models.md"
        ) from error


def _parse(content: object) -> BagFile:
    if not isinstance(content, Mapping):
        raise TypeError("it holds no 'models: [...]'")
    members = content.get("models")
    if not isinstance(members, list) or not members:
        raise TypeError("'models' must be a list of signatures")
    for member in members:
        # A signature becomes part of a file name, so it may not lead out of the folder.
        if not isinstance(member, str) or not _SIGNATURE.fullmatch(member):
            raise ValueError(f"{member!r} is no signature")
    segment = content.get("segment")
    if segment is not None:
        segment = _positive(segment, "segment")
    return BagFile(tuple(members), _parse_weights(content.get("weights"), len(members)), segment)


def _parse_weights(rows: object, members: int) -> Weights | None:
    if rows is None:
        return None
    if not isinstance(rows, list) or len(rows) != members:
        raise ValueError("'weights' must have one list for each of 'models'")
    weights = []
    for row in rows:
        if not isinstance(row, list) or not all(_is_weight(value) for value in row):
            raise ValueError("'weights' must hold lists of numbers that are not negative")
        weights.append(tuple(float(value) for value in row))
    return tuple(weights)


def _is_weight(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value >= 0


def _positive(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name!r} must be a number of seconds")
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name!r} must be more than 0 seconds")
    return value
