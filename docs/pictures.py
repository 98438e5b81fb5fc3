"""Draw the README's pictures: ``python docs/pictures.py`` (needs the extra ``demo`` for its song).

``live.svg`` is the screen at the end of a live run of `rt_mini`, on a virtual sound device that
keeps real time. ``delay.svg`` shows of what parts the delay of that run is made.
"""

from __future__ import annotations

import io
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from rich.console import Console

from cli.picture import picture
from streamer import LiveSettings, open_session
from streamer.files import demo_song, open_source
from streamer.live.planning.plan import LivePlan
from streamer.plots import AMBER, BLUE, GREEN, GREY, INK, STYLE
from streamer.testing.virtual import VirtualBackend
from streamer.testing.virtual_device import VirtualDevice

FOLDER = Path(__file__).parent
SIZE = (96, 20)
TICK_SECONDS = 0.002


def draw(folder: Path, seconds: float = 5.0) -> None:
    """Run for some seconds, and write both pictures to a folder."""
    with open_source(demo_song()) as source:
        song = np.concatenate(list(source.blocks(4096)))
        card = VirtualDevice(
            "card",
            input_channels=2,
            output_channels=2,
            samplerate=source.samplerate,
            source=lambda start, frames: song[np.arange(start, start + frames) % len(song)],
        )
    backend = VirtualBackend([card])
    settings = LiveSettings(
        model="rt_mini", samplerate=card.samplerate, latency=0.04, route=("mix-vocals=1,2",)
    )
    with open_session(settings, backend) as session:
        session.mixer.set_gain("drums", -3)
        session.mixer.set_mute("vocals", True)
        session.start()
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            backend.advance(max(0.0, now - (end - seconds) - backend.clock()))
            time.sleep(TICK_SECONDS)
        lines = picture(session.status(), session.mixer.state, "vocals", "", [], SIZE)
        console = Console(record=True, width=SIZE[0], file=io.StringIO(), force_terminal=True)
        console.print(*lines, sep="\n")
        console.save_svg(
            str(folder / "live.svg"), title="stemstream live -n rt_mini", unique_id="live"
        )
        _draw_delay(session.plan, folder / "delay.svg")


def _draw_delay(plan: LivePlan, path: Path) -> None:
    """Draw the parts of a delay side by side, those that there are."""
    rate, left = plan.request.samplerate / 1000, 0.0
    parts = {name: frames / rate for name, frames in asdict(plan.delay).items() if frames}
    colors = (BLUE, GREEN, AMBER, INK, GREY)
    with rc_context({**STYLE, "svg.hashsalt": "delay"}):
        figure = Figure(figsize=(8, 1.6), layout="constrained")
        axes = figure.subplots()
        for place, (name, width) in enumerate(parts.items()):
            label = f"{name.removesuffix('_frames').replace('_', ' ')} {width:.0f} ms"
            axes.barh(0, width, left=left, color=colors[place % len(colors)], label=label)
            left += width
        axes.set(yticks=[], xlabel=f"delay of {plan.request.model} on this run, ms", xlim=(0, left))
        figure.legend(loc="outside upper center", ncols=len(parts), fontsize=9)
        figure.savefig(path, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))


if __name__ == "__main__":
    draw(FOLDER)
