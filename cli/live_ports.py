"""What a live run opens beside its devices: looked at before its model, opened when that is ready.

A model takes seconds to load, and minutes where it is timed. So what is wrong with a port, a
controller or a folder is told before. Between both, another program may still take a port: then
that is told as late as it happens.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack
from queue import SimpleQueue

from cli.live_page import Pages, find_page, open_page
from cli.screen import tell_all
from cli.terminal import tell
from streamer.files.part import refuse_unwritable_folder
from streamer.live.control.midi.link import FoundController, find_controller, open_link
from streamer.live.control.remote import Remote
from streamer.live.listen import bound, shown
from streamer.live.mixing.scene import load_scene
from streamer.live.mixing.scene_folder import refuse_unreadable
from streamer.live.session import LiveSession
from streamer.live.settings import LiveSettings
from streamer.live.telemetry.report import check_report_path

_KINDS = {
    "osc": socket.SOCK_DGRAM,
    "metrics": socket.SOCK_STREAM,
    "page": socket.SOCK_STREAM,
}


def look_ahead(settings: LiveSettings) -> FoundController | None:
    """Refuse what could not be opened later; return the MIDI controller, where one is named.

    Raises:
        SettingsError: a port, a scene or a map is wrong, or an extra is not installed.
        SinkError: a folder that is named cannot be written to.
        DeviceError: there is no such controller.
    """
    if settings.report is not None:
        check_report_path(settings.report)
    if settings.page is not None:
        find_page()
    with ExitStack() as held:  # all at once: two may want the same one
        for name, kind in _KINDS.items():
            port = getattr(settings, name)
            if port is not None:
                backlog = int(kind == socket.SOCK_STREAM)
                held.enter_context(bound(name, settings.host, port, kind, backlog=backlog))
    if settings.scene is not None:
        load_scene(settings.scene)
    if settings.scenes is not None:
        refuse_unreadable(settings.scenes)
    for folder in (settings.scenes, settings.record, settings.takes):
        if folder is not None:
            refuse_unwritable_folder(folder)
    return None if settings.midi is None else find_controller(settings.midi, settings.midi_map)


def open_ports(
    session: LiveSession,
    controller: FoundController | None,
    stack: ExitStack,
    said: SimpleQueue[str],
) -> Pages:
    """Open all that a run listens on until the stack is left, and say where; return its pages.

    Raises:
        SettingsError: it cannot listen there.
        DeviceError: the controller cannot be opened.
    """
    settings = session.settings
    if settings.osc is not None:
        remote = Remote(
            session, session.status, port=settings.osc, host=settings.host, tell=said.put
        )
        stack.enter_context(remote)
        tell(f"OSC listens on {shown(*remote.address)}")
    if controller is not None:
        link = open_link(session, session.status, controller, said.put)
        session.learn_with(link.learn)
        stack.enter_context(link)
        tell_all(said)
    if settings.metrics is not None:
        # imported here, since a run that is not asked for them need not wait for their library
        from streamer.live.telemetry.metrics import RunCollector
        from streamer.live.telemetry.metrics_server import MetricsServer

        collector = RunCollector(session.status, session.latency())
        server = MetricsServer(collector, port=settings.metrics, host=settings.host)
        stack.enter_context(server)
        tell(f"metrics are at {server.url}")
    if settings.page is None:
        return Pages()
    return open_page(session, settings, stack, said.put)
