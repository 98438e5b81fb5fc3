"""Bag files: the small YAML that says which networks make a model, and how they are averaged.

Demucs reads the same format (`demucs.repo.BagOnlyRepo`): ``models`` (signatures), ``weights`` (one
list per network with one number per source; absent: all ones) and ``segment`` (seconds; absent:
the networks' own).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.abc import Traversable
from pathlib import Path
from typing import Any

from streamer.errors import WeightsError

MOST_WINDOW_SECONDS = 120
_SIGNATURE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_MOST_BYTES = 65_536
_MOST_DEPTH = 8
_MOST_MEMBERS = 64
_MOST_WEIGHT = 1e6

Weights = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class BagFile:
    """The content of a bag file. ``weights`` is ``[network][source]`` or None for all ones.

    Demucs's files have no ``first``. It is a network that hears the mix first, and whose stems are
    taken out of what the members hear (`streamer.models.backends.in_row`).
    """

    members: tuple[str, ...]
    weights: Weights | None = None
    window_seconds: float | None = None
    first: str | None = None

    @property
    def networks(self) -> tuple[str, ...]:
        """The signatures of all networks, in the order in which they hear the music."""
        return self.members if self.first is None else (self.first, *self.members)

    def weights_for(self, sources: int) -> Weights:
        """Return the weights as ``[network][source]`` for that many sources.

        Raises:
            WeightsError: the bag file is for another number of sources.
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
        WeightsError: it cannot be read, is not YAML, or does not describe a bag.
    """
    import yaml

    try:
        content = _load(path)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise WeightsError(
            f"the bag file {path} cannot be read ({reason}); fetch it again"
        ) from error
    try:
        return _parse(content)
    except (TypeError, ValueError, OverflowError) as error:
        raise WeightsError(
            f"{path} is not a bag file of Demucs: {error}; see docs/models.md"
        ) from error


def _load(path: Path | Traversable) -> object:
    """Read YAML without references (aliases), which could make a small file huge in memory."""
    import yaml

    if not path.is_file():
        raise ValueError("it is no file")
    with path.open("rb") as file:
        text = file.read(_MOST_BYTES + 1).decode("utf-8")
    if len(text) > _MOST_BYTES:
        raise ValueError(f"it has over {_MOST_BYTES} bytes")
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise ValueError("it has aliases")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _MOST_DEPTH:
            raise ValueError("it is nested too deeply")
    return yaml.safe_load(text)


def _parse(content: object) -> BagFile:
    if not isinstance(content, Mapping):
        raise TypeError("it holds no 'models: [...]'")
    members = content.get("models")
    if not isinstance(members, list) or not 1 <= len(members) <= _MOST_MEMBERS:
        raise TypeError(f"'models' must be a list of signatures, 1 to {_MOST_MEMBERS}")
    for member in members:
        # A signature becomes part of a file name, so it may not lead out of the folder.
        if not isinstance(member, str) or not _SIGNATURE.fullmatch(member):
            raise ValueError(f"{ascii(member)[:100]} is no signature")
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


def _is_weight(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= _MOST_WEIGHT


def _positive(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name!r} must be a number of seconds")
    if not 0 < value <= MOST_WINDOW_SECONDS:
        raise ValueError(f"{name!r} must be more than 0 seconds and at most {MOST_WINDOW_SECONDS}")
    return value
