"""From a model's name to a `Bag` that is ready to separate."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from streamer.errors import ModelError, SettingsError, WeightsError
from streamer.models.bags import BagFile
from streamer.models.passthrough import PassthroughSeparator
from streamer.models.registry import ModelInfo, info, names
from streamer.models.separator import Bag, Member, Separator
from streamer.models.threads import wait_without_spinning
from streamer.models.weights import Place, get_file, holds, place_of, resolve_auto

if TYPE_CHECKING:
    import torch

    from streamer.models.checkpoint import Network


def load(
    name: str,
    *,
    stems: Sequence[str] | None = None,
    repo: Path | None = None,
    trust_checkpoint: bool = False,
    device: str = "auto",
    threads: int | None = None,
    segment: float | None = None,
    exact_window: bool = False,
    bfloat16: bool = False,
) -> Bag:
    """Load a model, and of a bag only the networks that the wanted stems need.

    Weights that are not here are fetched if the hub can be reached.

    Args:
        name: a model of the registry, ``auto``, a checkpoint file, the signature of a network,
            ``hf://[NAMESPACE/]NAME``, or a bag or signature in ``repo``.
        stems: which stems are wanted (None: all). The bag names all the same; the others' values
            mean nothing where a bag's networks were left out.
        repo: a folder of checkpoints, as for ``demucs --repo``; it goes before the registry.
        trust_checkpoint: load pickles too, which can run code.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``, ``xpu``.
        threads: how many threads torch may use in this process (None: leave it).
        segment: the window's length in seconds that the user chose (None: the model's own).
        exact_window: show a transformer a window as long as it is, without the padding to its
            training length with which `demucs.apply.apply_model` has it work; so a shorter window
            takes less time.
        bfloat16: compute the layers in bfloat16, faster here or not (see `quantized`).

    Raises:
        SettingsError: if the model has no such stem.
        ModelError: if the model or the device does not exist, or a package is missing.
        WeightsError: if the weights cannot be had or are not what they should be.
    """
    note = None
    if name == "auto":
        name, note = resolve_auto(repo=repo, trust_checkpoint=trust_checkpoint)
    own = repo is not None and holds(repo, name)  # whatever the registry knows by that name
    known = info(name) if name in names() and not own else None
    if known is not None:
        _check_stems(name, known.stems, stems)
    place = place_of(name, repo=repo, trust_checkpoint=trust_checkpoint)
    if place is None:
        return _passthrough(name, segment)
    if repo is None:
        _check_packages(known)

    wait_without_spinning()
    from streamer.models.devices import pick_device

    target = pick_device(device)
    set_up_torch(threads)
    read = _Reader(place, trust_checkpoint)
    # Of a model that is not in the registry only its networks know the stems.
    sources = known.stems if known is not None else tuple(read(place.bag.members[0]).sources)
    _check_stems(name, sources, stems)
    weights = place.bag.weights_for(len(sources))
    wanted = [sources.index(stem) for stem in (stems if stems is not None else sources)]
    _check_totals(name, sources, weights, wanted)
    networks = [
        read(member) if any(row[k] for k in wanted) else None
        for member, row in zip(place.bag.members, weights, strict=True)
    ]
    _check_alike(name, sources, networks)
    _override_segment(networks, place.bag)
    if exact_window:
        _show_as_it_is(networks)
    made = known is not None and known.origin == "made"
    compute = True if bfloat16 else None
    separators = [
        _separator(n, target, segment, quantized=made or bfloat16, compute=compute)
        for n in networks
    ]
    return _bag(name, separators, weights, note)


class _Reader:
    """Reads the networks of a place, each once even where a bag names it twice."""

    def __init__(self, place: Place, trust_checkpoint: bool) -> None:
        self._place = place
        self._trust_checkpoint = trust_checkpoint
        self._read: dict[str, Network] = {}

    def __call__(self, member: str) -> Network:
        from streamer.models.checkpoint import read_network

        if member not in self._read:
            path = get_file(self._place, member)
            self._read[member] = read_network(path, trust_checkpoint=self._trust_checkpoint)
        return self._read[member]


def _passthrough(name: str, segment: float | None) -> Bag:
    separator = PassthroughSeparator()
    if segment is not None:
        frames = int(segment * separator.samplerate)
        if frames < 1:
            raise SettingsError(f"segment={segment} is less than one frame; try 2")
        separator = PassthroughSeparator(window_frames=frames)
    return _bag(name, [separator], ((1.0,) * len(separator.names),))


def _bag(
    name: str,
    separators: Sequence[Separator | None],
    weights: Sequence[tuple[float, ...]],
    note: str | None = None,
) -> Bag:
    members = [
        None if separator is None else Member(separator, row)
        for separator, row in zip(separators, weights, strict=True)
    ]
    first = next(separator for separator in separators if separator is not None)
    return Bag(name, members, first.names, first.samplerate, first.channels, note)


def _separator(
    network: Network | None,
    device: torch.device,
    segment: float | None,
    *,
    quantized: bool,
    compute: bool | None = None,
) -> Separator | None:
    if network is None:
        return None
    from streamer.models.quantized import quantize
    from streamer.models.torch_separator import TorchSeparator

    autocast = quantize(network, device, compute=compute) if quantized else None
    return TorchSeparator(network, device, autocast=autocast, segment=segment)


def _override_segment(networks: Sequence[Network | None], bag: BagFile) -> None:
    """Set the bag's segment, as `demucs.apply.BagOfModels` does: a transformer's only shrinks."""
    from demucs.htdemucs import HTDemucs

    for network in networks:
        if network is None or bag.segment is None:
            continue
        if not isinstance(network, HTDemucs) or bag.segment <= network.segment:
            network.segment = bag.segment


def _show_as_it_is(networks: Sequence[Network | None]) -> None:
    from demucs.htdemucs import HTDemucs

    for network in networks:
        if isinstance(network, HTDemucs):
            network.use_train_segment = False


def _check_packages(known: ModelInfo | None) -> None:
    for package in known.requires if known is not None else ():
        if find_spec(package) is None:
            raise ModelError(
                f"{known.name if known else ''} needs the package {package}, which is not here; "
                f"`pip install {package}`"
            )


def _check_stems(name: str, sources: Sequence[str], wanted: Sequence[str] | None) -> None:
    for stem in wanted or ():
        if stem not in sources:
            raise SettingsError(f"{name} has no stem {stem!r}; it has {', '.join(sources)}")
    if wanted is not None and not wanted:
        raise SettingsError(f"stems= must name at least one stem; {name} has {', '.join(sources)}")


def _check_totals(
    name: str, sources: Sequence[str], weights: Sequence[tuple[float, ...]], wanted: Sequence[int]
) -> None:
    for k in wanted:
        if not sum(row[k] for row in weights):
            raise WeightsError(
                f"every network of {name} has weight 0 for {sources[k]}; correct its .yaml file"
            )


def _check_alike(name: str, sources: Sequence[str], networks: Sequence[Network | None]) -> None:
    """Check that all networks can be averaged, as `demucs.apply.BagOfModels` asserts."""
    there = [network for network in networks if network is not None]
    for network in there:
        if tuple(network.sources) != tuple(sources):
            raise WeightsError(
                f"a network of {name} has the stems {', '.join(network.sources)}, not "
                f"{', '.join(sources)}; give {name} its own weights"
            )
        first = there[0]
        if (network.samplerate, network.audio_channels) != (first.samplerate, first.audio_channels):
            raise WeightsError(
                f"the networks of {name} differ in sample rate or channels, so they cannot be one "
                "bag; correct its .yaml file"
            )


def set_up_torch(threads: int | None = None) -> None:
    """Set what holds for the whole process; to be called before networks are made."""
    import torch

    from streamer.models.allocator import keep_freed_memory

    keep_freed_memory()
    # its "fast path" for encoder layers holds whole attention matrices, and is the slower one here
    torch.backends.mha.set_fastpath_enabled(False)
    if threads is None:
        return
    if threads < 1:
        raise ModelError(f"threads={threads} must be at least 1")
    torch.set_num_threads(threads)
