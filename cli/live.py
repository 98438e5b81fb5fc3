"""`stemstream live` and `stemstream plan`: stems while it plays, and what that will be like."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.options import with_settings
from cli.separate import Config
from cli.terminal import tell
from streamer.live.settings import LiveSettings
from streamer.models.first_use import compiling_beside
from streamer.resolve import resolve

MEANINGLESS = ("overlap", "loudness", "clip_mode", "dither")
"""Settings of file runs that a live run has nothing to do with."""

AsJson = Annotated[
    bool, typer.Option("--json", help="print the result as JSON on standard output", metavar="")
]


@with_settings(LiveSettings, MEANINGLESS)
def live(
    *,
    config: Config = None,
    as_json: AsJson = False,
    flags: dict[str, object],
) -> None:
    """Separate what a sound device takes in, or a file, while it plays.

    Keys: 1-6 mute a stem, shift solo it, arrows its gain, d dry, q quit.
    """
    settings = resolve(flags, config=config, kind=LiveSettings).settings
    # imported here, since the engine takes a second that help and wrong flags need not wait for
    with compiling_beside(settings, tell):
        from cli.live_run import run_live

    raise typer.Exit(run_live(settings, as_json=as_json))


@with_settings(LiveSettings, MEANINGLESS)
def plan(*, config: Config = None, as_json: AsJson = False, flags: dict[str, object]) -> None:
    """Print what a live run would choose on this machine: window, hop, delay and its parts, load.

    No sound device is needed: without one the rate is 44100 Hz and the devices' own delay is left
    out.
    """
    settings = resolve(flags, config=config, kind=LiveSettings).settings
    with compiling_beside(settings, tell):
        from cli.live_run import show_plan

    show_plan(settings, as_json=as_json)
