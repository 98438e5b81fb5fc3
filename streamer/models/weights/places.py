"""Find, fetch and verify the weights of a model.

A *place* knows the files of one model: a checkpoint file, a folder as for Demucs's ``--repo``, the
folder inside this package, or the hub and its cache (`hub`). Nothing here reads weights. A file is
found, fetched and checked against its checksum, then handed to `checkpoint`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Protocol

from streamer.errors import ModelError, WeightsError
from streamer.models.weights import hub
from streamer.models.weights.bags import BagFile, read_bag
from streamer.models.weights.checksum import NO_DIGESTS, split_name, verify
from streamer.models.weights.registry import (
    EMBEDDED_SHA256,
    ModelInfo,
    holder_of,
    info,
    names,
    unknown_model,
)

CHECKPOINTS = (".safetensors", ".th")

AUTO_FIRST = "htdemucs"
AUTO_ELSE = "mini_duo"


class Place(Protocol):
    """Where the weights of one model are."""

    name: str
    folder: Path
    sha256s: Mapping[str, str]  # of its networks' files, where they are known beforehand

    @property
    def bag(self) -> BagFile:
        """Which networks the model has."""
        ...

    def find(self, member: str) -> Path | None:
        """Return the file of one network if it is on this machine."""
        ...

    def get(self, member: str) -> Path:
        """Return the file of one network, fetched if need be."""
        ...


@dataclass(frozen=True, slots=True)
class Available:
    """Weights on this machine: the file (with several files their folder) and the size in bytes."""

    path: Path
    bytes: int


class FilePlace:
    """A model that is one checkpoint file."""

    sha256s: Mapping[str, str] = NO_DIGESTS

    def __init__(self, path: Path) -> None:
        self.name = split_name(path)[0]
        self.folder = path.parent
        self.bag = BagFile((self.name,))
        self._path = path

    def find(self, member: str) -> Path | None:  # noqa: ARG002
        """Return the file if it is there."""
        try:
            return self._path if self._path.is_file() else None
        except OSError:  # a name that is too long
            return None

    def get(self, member: str) -> Path:
        """Return the file.

        Raises:
            WeightsError: it is not there.
        """
        path = self.find(member)
        if path is None:
            raise WeightsError(f"there is no file {self._path}; give the path of a checkpoint")
        return path


class FolderPlace:
    """A model in a folder laid out as for ``demucs --repo``.

    Networks are ``SIGNATURE.th`` or ``SIGNATURE-CHECKSUM.th``, or the same with ``.safetensors``,
    which is preferred; bags are ``NAME.yaml``. A bag this package knows needs no file.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        bag: BagFile | None = None,
        sha256s: Mapping[str, str] = NO_DIGESTS,
    ) -> None:
        self.sha256s = sha256s
        self.name = name
        self.folder = folder
        self.bag = bag or self._find_bag()

    def find(self, member: str) -> Path | None:
        """Return the file of one network if it is in the folder.

        Raises:
            WeightsError: there are two, or the folder cannot be read.
        """
        for suffix in CHECKPOINTS:
            found = [
                path
                for path in self._files()
                if path.suffix == suffix and split_name(path)[0] == member and path.is_file()
            ]
            if len(found) > 1:
                raise WeightsError(
                    f"{self.folder} has both {found[0].name} and {found[1].name}; keep one of them"
                )
            if found:
                return found[0]
        return None

    def get(self, member: str) -> Path:
        """Return the file of one network.

        Raises:
            WeightsError: it is not in the folder.
        """
        path = self.find(member)
        if path is None:
            raise WeightsError(
                f"{self.name} needs {member}.safetensors (or .th), which is not in {self.folder}; "
                "copy it there"
            )
        return path

    def _files(self) -> list[Path]:
        return _entries(self.folder)

    def _find_bag(self) -> BagFile:
        if self.find(self.name) is not None:
            return BagFile((self.name,))
        path = self.folder / f"{self.name}.yaml"
        if path in self._files():
            return read_bag(path)
        if self.name in names() and info(self.name).origin == "hub":
            return info(self.name).bag
        there = sorted(
            {p.stem for p in self._files() if p.suffix == ".yaml"}
            | {split_name(p)[0] for p in self._files() if p.suffix in CHECKPOINTS}
        )
        raise ModelError(
            f"{self.folder} has no model {self.name!r}; it has {', '.join(there) or 'none at all'}"
        )


def holds(repo: Path, name: str) -> bool:
    """Return whether a folder has a bag or a network of its own by that name.

    Raises:
        WeightsError: it cannot be read.
    """
    bag_file = f"{name}.yaml"
    return any(
        path.name == bag_file or (path.suffix in CHECKPOINTS and split_name(path)[0] == name)
        for path in _entries(_expanded(repo))
    )


def place_of(
    name: str, *, repo: Path | None = None, trust_checkpoint: bool = False
) -> Place | None:
    """Return where the weights of a model are; None for a model that has none.

    Args:
        name: a model of the registry, the signature of one network, ``hf://[NAMESPACE/]NAME``, a
            checkpoint file, or any bag or signature in ``repo``.
        repo: a folder of checkpoints to use instead of the hub; a bag or network of that name in it
            wins over a model of the registry.
        trust_checkpoint: whether pickles in the cache of an older Demucs may be used.

    Raises:
        ModelError: there is no such model.
        WeightsError: ``repo`` cannot be read.
    """
    if repo is not None and holds(repo, name):
        return FolderPlace(name, _expanded(repo))
    known = info(name) if name in names() else None
    if known is not None and known.origin == "none":
        return None
    if known is not None and known.made_from is not None:
        return place_of(known.made_from, repo=repo, trust_checkpoint=trust_checkpoint)
    if name.startswith("hf://"):
        return hub.HubPlace.parse(name)
    if Path(name).suffix in CHECKPOINTS:
        return FilePlace(_expanded(Path(name)))
    if known is not None and known.origin == "embedded":
        return _embedded(known)
    if repo is not None:
        return FolderPlace(name, _expanded(repo))
    if known is not None:
        return hub.HubPlace(name, known.bag, pickles=trust_checkpoint)
    holder = holder_of(name)
    if holder is not None:
        return hub.HubPlace(holder.name, BagFile((name,)), pickles=trust_checkpoint)
    raise unknown_model(name)


def get_file(place: Place, member: str) -> Path:
    """Return the file of one network of a place, fetched if need be and checked.

    What is damaged in the hub's cache is fetched again.

    Raises:
        WeightsError: it cannot be fetched, or its checksum is wrong.
    """
    path, wanted = place.get(member), place.sha256s.get(member)
    try:
        verify(path, wanted)
    except WeightsError:
        again = None
        if isinstance(place, hub.HubPlace) and path.is_relative_to(place.folder):
            again = place.get_anew(member)
        if again is None:
            raise
        path = again
        verify(path, wanted)
    return path


def available(
    name: str, *, repo: Path | None = None, trust_checkpoint: bool = False
) -> Available | None:
    """Return where the weights of a model are on this machine; None if not all of them are here.

    A model without weights is always None. No network is used; arguments as for `place_of`.

    Raises:
        ModelError: there is no such model.
    """
    place = place_of(name, repo=repo, trust_checkpoint=trust_checkpoint)
    if place is None or (isinstance(place, hub.HubPlace) and not place.knows_bag):
        return None
    found = [place.find(network) for network in place.bag.networks]
    files = [path for path in found if path is not None]
    if len(files) < len(found):
        return None
    size = sum(path.stat().st_size for path in files)
    return Available(files[0] if len(files) == 1 else files[0].parent, size)


def download(name: str, *, repo: Path | None = None) -> tuple[Path, ...]:
    """Fetch and check all files of a model, with a progress bar for each; return their paths.

    Files that are there are not fetched again. A model without weights has no files.

    Raises:
        ModelError: there is no such model.
        WeightsError: a file cannot be fetched, is damaged, or cannot be stored.
    """
    place = place_of(name, repo=repo)
    if place is None:
        return ()
    return tuple(get_file(place, network) for network in place.bag.networks)


def resolve_auto(
    *,
    repo: Path | None = None,
    trust_checkpoint: bool = False,
    reachable: Callable[[], bool] = hub.reachable,
    fetch: Callable[[str], object] = download,
) -> tuple[str, str | None]:
    """Return the model that ``auto`` means now, and a sentence for the user if it is second choice.

    It is htdemucs if its weights are here or can be fetched (then they are), else the embedded
    model.
    """
    if available(AUTO_FIRST, repo=repo, trust_checkpoint=trust_checkpoint) is not None:
        return AUTO_FIRST, None
    why = "the hub cannot be reached" if repo is None else f"{repo} does not have them"
    if repo is None and reachable():
        try:
            fetch(AUTO_FIRST)
        except WeightsError as error:
            why = f"cannot be fetched ({error})"
        else:
            return AUTO_FIRST, None
    return AUTO_ELSE, (
        f"the weights of {AUTO_FIRST} are not here and {why}, so the smaller embedded {AUTO_ELSE} "
        f"is used; `stemstream models download {AUTO_FIRST}` fetches them"
    )


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # ~ of an unknown user, or of one without a home
        raise WeightsError(
            f"{path} begins with a home folder that is not here; write it out"
        ) from None


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except ValueError:
        raise WeightsError(
            f"repo={str(folder)!a} is no folder; give one that has checkpoints"
        ) from None
    except OSError as error:
        raise WeightsError(
            f"the folder {folder} cannot be read ({error.strerror}); give one that has checkpoints"
        ) from error


def _embedded(known: ModelInfo) -> FolderPlace:
    # Files of an installed package: resources are paths unless it was imported from a zip, which
    # torch and numba cannot be.
    folder = Path(str(resources.files("streamer.models.weights.embedded")))
    return FolderPlace(known.name, folder, known.bag, EMBEDDED_SHA256)
