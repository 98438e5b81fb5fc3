"""From a model's name to a `Bag` that is ready to separate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import Final, Unpack

from streamer.arguments import check_kind
from streamer.errors import ModelError, SettingsError, WeightsError
from streamer.forked import note_model
from streamer.models.backends.in_row import InRow
from streamer.models.backends.passthrough import PassthroughSeparator
from streamer.models.choice import Backend, Choices, eligible
from streamer.models.devices import kind_of
from streamer.models.members import Networks
from streamer.models.networks.facts import NetworkFacts
from streamer.models.request import ModelOptions, ModelRequest
from streamer.models.separator import (
    Bag,
    Member,
    Separator,
    WindowKind,
    window_of_song,
)
from streamer.models.threads import spin_for_a_moment
from streamer.models.weights.places import Place, holds, place_of, resolve_auto
from streamer.models.weights.registry import ModelInfo, info, names
from streamer.settings import Library

LIVE_SECONDS: Final = 2.0
"""How long the windows are on which backends are compared for live windows of any length."""


def load(name: str, **options: Unpack[ModelOptions]) -> Bag:
    """Load a model, and of a bag only the networks that the wanted stems need.

    Weights that are not here are fetched if the hub can be reached. ``name`` and the options are
    the fields of `streamer.models.request.ModelRequest`.

    Raises:
        SettingsError: if the name is no text, the model has no such stem, or backend, precision and
            device exclude each other.
        ModelError: if the model or the device does not exist, or a package is missing.
        WeightsError: if the weights cannot be had or are not what they should be.
    """
    check_kind("name", name, str, "load('htdemucs_mini')")
    return load_model(ModelRequest(name, **options))


def load_model(request: ModelRequest) -> Bag:
    """Load what is asked for; see `load`."""
    note = None
    if request.name == "auto":
        name, note = resolve_auto(repo=request.repo, trust_checkpoint=request.trust_checkpoint)
        request = replace(request, name=name)
    name, repo = request.name, request.repo
    own = repo is not None and holds(repo, name)  # whatever the registry knows by that name
    known = info(name) if name in names() and not own else None
    if known is not None:
        _check_stems(name, known.stems, request.stems)
    place = place_of(name, repo=repo, trust_checkpoint=request.trust_checkpoint)
    if place is None:
        return _passthrough(name, request.window)
    if repo is None:
        _check_packages(known)
    return _load_from(place, request, known, note)


def _load_from(
    place: Place, request: ModelRequest, known: ModelInfo | None, note: str | None
) -> Bag:
    """Load a model from where its weights are; ``known`` is what the registry says of it."""
    note_model()
    spin_for_a_moment()
    name = request.name
    networks = Networks(place, request.trust_checkpoint, request.threads)
    # Of a model that is not in the registry only its networks know the stems.
    sources = known.stems if known is not None else networks.facts(place.bag.members[0]).names
    weights = place.bag.weights_for(len(sources))
    members = _needed(name, place.bag.members, weights, sources, request.stems)
    there = [member for member in members if member is not None]
    known_facts = [networks.facts(member) for member in there]
    _check_alike(name, sources, known_facts)
    if request.precision is None:
        made = known is not None and known.origin == "made"
        request = replace(request, precision="bfloat16" if made else "float32")
    remembers = known_facts[0].stride is not None
    request = replace(request, device=_device(request, remembers=remembers))
    device = kind_of(request.device)
    windows = WindowKind(request.window, request.exact_window)
    backend = _choose(request, networks, there, windows)
    by_member = {
        member: networks.separator(member, backend, windows, request.device) for member in there
    }
    if place.bag.first is not None:
        there = [place.bag.first, *there]
        seen = WindowKind(by_member[there[1]].window_frames / networks.facts(there[0]).samplerate)
        first = networks.separator(there[0], backend, seen, request.device)
        by_member = {member: InRow(first, one) for member, one in by_member.items()}
    separators = [None if member is None else by_member[member] for member in members]
    return replace(
        _bag(name, separators, weights),
        note=note,
        backend=backend.name,
        device=device,
        weights="+".join(map(networks.digest, there)),
    )


def _device(request: ModelRequest, *, remembers: bool) -> str:
    """Return the device to ask for: where nobody names one, a GPU is not always the best.

    A network that remembers, and takes one hop at a time, is soonest on the CPU, by its native
    engine.
    """
    wish = request.backend
    library = wish.library if isinstance(wish, Backend) else wish
    by_hops = request.exact_window and remembers and request.precision != "float16"
    on_cpu = library in ("openvino", "native") or (library == "auto" and by_hops)
    return "cpu" if request.device == "auto" and on_cpu else request.device


def _needed(
    name: str,
    members: Sequence[str],
    weights: Sequence[tuple[float, ...]],
    sources: Sequence[str],
    stems: Sequence[str] | None,
) -> list[str | None]:
    """Return the bag's networks, None for those that no wanted stem needs."""
    _check_stems(name, sources, stems)
    wanted = [sources.index(stem) for stem in (stems if stems is not None else sources)]
    _check_totals(name, sources, weights, wanted)
    return [
        member if any(row[k] for k in wanted) else None
        for member, row in zip(members, weights, strict=True)
    ]


def _choose(
    request: ModelRequest,
    networks: Networks,
    members: Sequence[str],
    windows: WindowKind,
) -> Backend:
    if isinstance(request.backend, Backend):
        backends: tuple[Backend, ...] = (request.backend,)
    else:
        library = None if request.backend == "auto" else request.backend
        backends = eligible(library, request.precision or "float32", kind_of(request.device))
    for member in members:
        facts = networks.facts(member)
        able = tuple(one for one in backends if _runs(one.library, facts))
        if not able:
            raise ModelError(
                f"backend={backends[0].library} runs {_CLASSES[backends[0].library]} alone, which "
                f"{member} is not; try --backend torch"
            )
        backends = able
    if networks.facts(members[0]).stride is not None:
        # what it remembers is to be computed in float32; torch takes care of that by itself
        exact = Backend("openvino", "float32")
        backends = tuple(dict.fromkeys(exact if o.library == "openvino" else o for o in backends))
    if len(backends) == 1:
        return backends[0]
    choices = request.choices or Choices()
    return _fastest(choices, networks, members[0], backends, windows)


_CLASSES: Final[Mapping[Library, str]] = {
    "openvino": "networks of the classes HTDemucs, MaskUNets and CausalBandSplit",
    "native": "networks of the classes CausalBandSplit and CausalFilters",
}


def _runs(library: Library, facts: NetworkFacts) -> bool:
    """Return whether a library knows networks of that kind."""
    if library == "openvino":
        return facts.hybrid or facts.unets or (facts.stride is not None and not facts.filters)
    return library == "torch" or facts.stride is not None


def _fastest(
    choices: Choices,
    networks: Networks,
    member: str,
    backends: Sequence[Backend],
    windows: WindowKind,
) -> Backend:
    """Return the backend that is fastest for a network's windows; measure that if need be."""
    subject = {
        "network": networks.digest(member),
        "threads": networks.threads or 0,
        "live windows": windows.exact,
    }
    known = choices.known(subject, backends)
    if known is not None:
        return known
    timed, facts = WindowKind(), networks.facts(member)
    if facts.stride is not None:
        timed = windows
    elif windows.exact:
        longest = float(facts.window_seconds)
        timed = WindowKind(min(LIVE_SECONDS, longest), exact=True)
    return choices.measure(
        subject, backends, lambda one: networks.separator(member, one, timed, "cpu"), timed
    )


def _passthrough(name: str, window_seconds: float | None) -> Bag:
    separator = PassthroughSeparator()
    if window_seconds is not None:
        frames = window_of_song(separator.samplerate, window_seconds, None)
        separator = PassthroughSeparator(window_frames=frames)
    return _bag(name, [separator], ((1.0,) * len(separator.names),))


def _bag(
    name: str,
    separators: Sequence[Separator | None],
    weights: Sequence[tuple[float, ...]],
) -> Bag:
    members = [
        None if separator is None else Member(separator, row)
        for separator, row in zip(separators, weights, strict=True)
    ]
    first = next(separator for separator in separators if separator is not None)
    return Bag(name, members, first.names, first.samplerate, first.channels)


def _check_packages(known: ModelInfo | None) -> None:
    for package in known.requires if known is not None else ():
        if find_spec(package) is None:
            raise ModelError(
                f"{known.name if known else ''} needs the package {package}, which is not here; "
                f"`pip install 'stemstream[{package}]'`"
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


def _check_alike(name: str, sources: Sequence[str], known: Sequence[NetworkFacts]) -> None:
    """Check that all networks can be averaged, as `demucs.apply.BagOfModels` asserts."""
    first = known[0]
    for facts in known:
        if facts.names != tuple(sources):
            raise WeightsError(
                f"a network of {name} has the stems {', '.join(facts.names)}, not "
                f"{', '.join(sources)}; give {name} its own weights"
            )
        alike = [(one.samplerate, one.channels, one.stride) for one in (facts, first)]
        if alike[0] != alike[1]:
            raise WeightsError(
                f"the networks of {name} differ in sample rate, channels or the way they go along "
                "the music, so they cannot be one bag; correct its .yaml file"
            )
