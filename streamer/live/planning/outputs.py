"""The ports of outputs that make them, as JACK does: how many, and their names.

Other devices have the channels that they have. Here the routes come first: as many ports as they
need, and without any, and without listeners, a mix of all stems and a pair for each stem.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from streamer.live.devices.wiring import Wiring
from streamer.live.mixing.channel_names import channel_names
from streamer.live.mixing.mixer import Mixer
from streamer.live.mixing.routes import parse_route, with_mix_channels
from streamer.live.mixing.scene import load_scene
from streamer.live.mixing.state import Scene
from streamer.live.settings import LiveSettings


def name_outputs(wiring: Wiring, settings: LiveSettings, stems: Sequence[str]) -> Wiring:
    """Return the wiring with the ports that its outputs make; names that it has are kept.

    Raises:
        SettingsError: a route leads to no output or from no stem.
    """
    making = wiring.port_makers
    if not making or wiring.channel_names:
        return wiring
    scene = Scene() if settings.scene is None else load_scene(settings.scene)
    routes = [parse_route(route) for route in settings.route]
    if not (routes or scene.routes or scene.listeners or settings.output_channels):
        least = with_mix_channels(stems)
        outputs = tuple(
            replace(one, output_channels=max(least, one.output_channels))
            if one.makes_ports
            else one
            for one in wiring.outputs
        )
        wiring = replace(wiring, outputs=outputs)
    channels = {
        name: one.output_channels
        for name, one in zip(wiring.port_names, wiring.outputs, strict=True)
    }
    mixer = Mixer(stems, channels, routes, with_mix=making)
    mixer.apply(scene)
    played = mixer.state.routes
    names = tuple(channel_names(played, name, count) for name, count in channels.items())
    return replace(wiring, channel_names=names)
