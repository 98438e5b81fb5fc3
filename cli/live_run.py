"""A live run at the terminal: from the settings to the last line."""

from __future__ import annotations

import gc
import json
import signal
import sys
from contextlib import ExitStack
from dataclasses import asdict
from queue import SimpleQueue

from rich.table import Table

from cli.garbage import collect_garbage
from cli.live_ports import look_ahead, open_ports
from cli.screen import line, show, tell_all
from cli.stops import asked
from cli.terminal import complain, console, output, tell
from streamer.errors import DeviceError, SinkError
from streamer.live.devices.machine import backend_for
from streamer.live.devices.moves import watching
from streamer.live.devices.portaudio_library import quiet_libraries
from streamer.live.devices.system_sound import system_sound
from streamer.live.planning.plan import DevicePath, LivePlan
from streamer.live.planning.prepare import (
    USUAL_BLOCK_FRAMES,
    device_path,
    make_plan,
    whole_bag,
    wire,
    with_soonest_block,
)
from streamer.live.session import open_session
from streamer.live.settings import LiveSettings
from streamer.live.status import Reason
from streamer.live.telemetry.report import plain, write_report
from streamer.live.telemetry.verdict import LiveReport


def run_live(settings: LiveSettings, *, as_json: bool) -> int:
    """Run until the end, Ctrl-C or q; return the exit code (see `cli.main`).

    Raises:
        StemstreamError: something that is asked for cannot be had.
    """
    code, failure = 0, None
    said: SimpleQueue[str] = SimpleQueue()
    with quiet_libraries(), ExitStack() as stack:
        controller = look_ahead(settings)
        if console.is_terminal:
            tell(f"preparing {settings.model}; a model that is new here is timed for some seconds")
        if settings.system:
            settings = stack.enter_context(system_sound(settings, said.put))
        session = open_session(settings, backend_for(settings), tell=said.put)
        stack.enter_context(session)
        tell_all(said)
        collect_garbage()
        stack.callback(gc.unfreeze)  # soxr complains at the exit of what it finds then
        session.start()  # first: the outputs play already, and a file is to be fed
        pages = open_ports(session, controller, stack, said)
        devices = [stream.device for stream in session.streams.all]
        stack.enter_context(watching(devices, session.note))
        try:
            show(session, said, pages)
            session.wait()
        except KeyboardInterrupt:
            code = 128 + signal.SIGINT
        except SystemExit as ended:  # by another signal, see `cli.main`: what was measured is kept
            code = ended.code if isinstance(ended.code, int) else 1
        except Exception as error:  # told when what was measured until then is safe
            if asked:  # it broke into what then failed, as a terminal does that is gone
                code = 128 + asked[0]
            else:
                failure = error
        session.quit(Reason.ASKED if failure is None else Reason.FAILED)
    tell_all(said)
    tell(line(session.status()))
    unwritten = _hand_out(session.report(), settings, as_json=as_json)
    if failure is not None:
        raise failure
    return code or unwritten


def _hand_out(report: LiveReport, settings: LiveSettings, *, as_json: bool) -> int:
    """Write what was measured to where it is wanted; return the exit code of what failed."""
    code = 0
    if settings.report is not None:
        try:
            write_report(settings.report, report)
            tell(f"report written to {settings.report}")
        except SinkError as error:  # the same measurements may still go to standard output
            complain(str(error))
            code = error.exit_code
    if as_json:
        json.dump(plain(report), sys.stdout, indent=2, allow_nan=False)
        sys.stdout.write("\n")
    return code


def show_plan(settings: LiveSettings, *, as_json: bool) -> None:
    """Print what a live run would choose.

    Raises:
        StemstreamError: the model cannot be had, or the promise cannot be kept.
    """
    whole = whole_bag(settings)
    try:
        backend = backend_for(settings)
        wiring, source = wire(settings, backend)
        if source is not None:
            source.close()
        wiring = with_soonest_block(wiring, settings, whole)
        rate, path = wiring.samplerate, device_path(wiring, backend)
    except DeviceError as error:
        if settings.input is not None or settings.output:
            raise
        tell(f"without sound devices: {error}")
        rate, path = (
            settings.samplerate or whole.samplerate,
            DevicePath(settings.blocksize or USUAL_BLOCK_FRAMES),
        )
    _, _, plan = make_plan(settings, whole, rate, path)
    if as_json:
        json.dump(_plain_plan(plan), sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    table = Table("part", "value", "", box=None, title=plan.request.model, title_justify="left")
    for row in plan.rows():
        table.add_row(*row)
    output.print(table)
    if plan.note is not None:
        tell(plan.note)


def _plain_plan(plan: LivePlan) -> dict[str, object]:
    rate, model_rate = plan.request.samplerate, plan.request.model_samplerate
    return {
        "model": plan.request.model,
        "samplerate": rate,
        "window_seconds": plan.window_frames / model_rate,
        "hop_seconds": plan.hop_seconds,
        "lookahead_seconds": plan.lookahead_frames / model_rate,
        "crossfade_seconds": plan.crossfade_frames / model_rate,
        "delay_frames": plan.delay.frames,
        "delay_seconds": plan.delay_seconds,
        "parts_seconds": {
            name.removesuffix("_frames"): frames / rate
            for name, frames in asdict(plan.delay).items()
        },
        "load": plan.load,
        "peak_load": plan.peak_load,
    }
