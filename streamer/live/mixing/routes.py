"""Routes: which source plays on which output channels, and their notation.

::

    vocals=1,2                  the stem vocals: left to channel 1, right to channel 2
    drums=3                     a mono sum (half of each side) on channel 3
    mix=1,2                     the mix, delayed as much as the stems
    mix-vocals=5,6              the mix without the vocals
    vocals=7,8@-6               6 dB softer than the fader: for one listener's mix
    headphones:vocals=1,2       on the output "headphones" (a part of its name is enough)

Channels count from 1. An output's name may hold colons: the last one ends it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from streamer.errors import SettingsError
from streamer.live.devices.device import without_card
from streamer.live.mixing.levels import checked_gain, printable
from streamer.words import nearest

MIX: Final = "mix"
MINUS: Final = "mix-"

_CHANNELS: Final = r"\s*(?P<channels>[0-9]{1,4}(?:\s*,\s*[0-9]{1,4})*)\s*"
_FORM: Final = re.compile(rf"(?:(?P<port>.+):)?(?P<source>[^:]+)={_CHANNELS}(?:@(?P<gain>[^@=]*))?")
_PLACE_FORM: Final = re.compile(rf"(?:(?P<port>.+):)?{_CHANNELS}")


@dataclass(frozen=True, slots=True)
class Place:
    """One or two channels (from 1) of one output; ``port`` is its name, "" is the first one."""

    channels: tuple[int, ...]
    port: str = ""

    def __str__(self) -> str:
        channels = ",".join(map(str, self.channels))
        return f"{self.port}:{channels}" if self.port else channels


@dataclass(frozen=True, slots=True)
class Route:
    """One source on one or two channels (from 1) of one output.

    ``port`` is the output's name; "" is the first one. ``listener`` says for whom it is, if a scene
    tells: that listener's own faders act on it, or the desk's where the scene knows no such
    listener.
    """

    source: str
    channels: tuple[int, ...]
    port: str = ""
    gain_db: float = 0.0
    listener: str = ""

    def __str__(self) -> str:
        place = f"{self.port}:" if self.port else ""
        gain = f"@{self.gain_db!r}" if self.gain_db else ""
        return f"{place}{self.source}={','.join(map(str, self.channels))}{gain}"


def parse_route(text: str) -> Route:
    """Read a route: ``[OUTPUT:]SOURCE=CHANNEL[,CHANNEL][@GAIN_DB]``.

    Raises:
        SettingsError: it has another form.
    """
    form = _FORM.fullmatch(text.strip())
    if not form:
        raise SettingsError(
            f"route {printable(text)} must be a source and its channels; try vocals=1,2"
        )
    channels = _channels(f"route {printable(text)}", form["channels"])
    gain_db = 0.0 if form["gain"] is None else _gain(text, form["gain"])
    return Route(form["source"].strip(), channels, (form["port"] or "").strip(), gain_db)


def parse_place(name: str, text: object) -> Place:
    """Read where something plays: ``[OUTPUT:]CHANNEL[,CHANNEL]``.

    Raises:
        SettingsError: it has another form.
    """
    form = _PLACE_FORM.fullmatch(text.strip()) if isinstance(text, str) else None
    if not form:
        raise SettingsError(f'{name}={printable(text)} must be one or two channels; try "1,2"')
    channels = _channels(f"{name}={printable(text)}", form["channels"])
    return Place(channels, (form["port"] or "").strip())


def default_routes(
    stems: Sequence[str],
    ports: Mapping[str, int],
    others: Sequence[Route] = (),
    with_mix: Container[str] = (),
) -> tuple[Route, ...]:
    """Return the default routes: a pair of channels for each stem, else all stems on 1,2.

    ``ports`` are output channels by output. An output with one channel gets the mono sum. Where
    listeners have routes of their own (``others``), all stems are on 1,2, if those are free. Else
    an output of ``with_mix`` has both, all stems on 1,2 and then the pairs.
    """
    routes: list[Route] = []
    taken = {(route.port, channel) for route in others for channel in route.channels}
    for port, outputs in ports.items():
        pairs = outputs >= 2 * len(stems) and not others
        mixed = pairs and port in with_mix and outputs >= with_mix_channels(stems)
        places = [(stem, 1) for stem in stems] if mixed or not pairs else []
        if pairs:
            places += [(stem, 2 * n + 1) for n, stem in enumerate(stems, start=mixed)]
        for stem, first in places:
            channels = (first, first + 1) if outputs > 1 else (1,)
            if not taken & {(port, channel) for channel in channels}:
                routes.append(Route(stem, channels, port))
    return tuple(routes)


def with_mix_channels(stems: Sequence[str]) -> int:
    """Return how many channels a mix and a pair for each stem take."""
    return 2 + 2 * len(stems)


def settle(
    routes: Iterable[Route], stems: Sequence[str], ports: Mapping[str, int]
) -> tuple[Route, ...]:
    """Return the routes with the full names of their outputs.

    ``ports`` are output channels by output.

    Raises:
        SettingsError: a source, output or channel does not exist, or a source would play twice on
            one channel.
    """
    settled: list[Route] = []
    taken: set[tuple[str, str, int]] = set()
    routes, names = list(routes), list(ports)
    written = {route.port or names[0] for route in routes}
    for route in routes:
        _check_source(route, stems)
        port = _port(route, names, written)
        outputs = ports[port]
        if max(route.channels) > outputs:
            some = "channel" if outputs == 1 else "channels"
            raise SettingsError(
                f"route {printable(route)} needs channel {max(route.channels)}, and the output "
                f"{port} has {outputs} {some}; try {route.source}={'1,2' if outputs > 1 else '1'}"
            )
        cells = {(port, route.source, channel) for channel in route.channels}
        if cells & taken:
            raise SettingsError(
                f"route {printable(route)} puts {route.source} on a channel where it plays "
                "already; leave one of the two out"
            )
        taken |= cells
        settled.append(replace(route, port=port))
    return tuple(settled)


def minus_stem(source: str, stems: Sequence[str]) -> str | None:
    """Return the stem that a source like "mix-vocals" leaves out; None for other sources."""
    return source.removeprefix(MINUS) if source not in stems and source != MIX else None


def _channels(name: str, written: str) -> tuple[int, ...]:
    channels = tuple(map(int, written.split(",")))
    if len(channels) > 2 or len(set(channels)) < len(channels) or 0 in channels:
        raise SettingsError(
            f"{name} must name one channel (mono) or two different ones, counted "
            "from 1; try 1,2, and a route of its own for each further pair"
        )
    return channels


def _gain(text: str, written: str) -> float:
    try:
        number: object = float(written)
    except ValueError:
        number = written.strip()
    return checked_gain(f"route {printable(text)}: gain", number)


def _check_source(route: Route, stems: Sequence[str]) -> None:
    sources = [*stems, MIX, *(MINUS + stem for stem in stems)]
    if route.source not in sources:
        raise SettingsError(
            f"route {printable(route)}: there is no source {printable(route.source)}; "
            f"{nearest(route.source, sources)}"
        )


def _port(route: Route, names: Sequence[str], written: Collection[str]) -> str:
    """Return the output that a route means, of those with these names.

    A card may have another number than when a route was ``written``, unless a twin was, too.
    """
    if not route.port:
        return names[0]
    if route.port in names:
        return route.port
    wanted = route.port.casefold()
    card = without_card(route.port)
    fitting = [name for name in names if without_card(name) == card]
    if sum(without_card(name) == card for name in written) > 1:
        fitting = []
    fitting = fitting or [name for name in names if wanted in name.casefold()]
    if len(fitting) == 1:
        return fitting[0]
    what = "fits several outputs" if fitting else "is no output"
    raise SettingsError(
        f"route {printable(route)}: {printable(route.port)} {what}; "
        f"try one of {', '.join(fitting or names)}"
    )
