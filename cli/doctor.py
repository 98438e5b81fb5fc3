"""`stemstream doctor`: what works on this machine, what does not, and what brings it."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import typer
from rich.table import Table

from cli import doctor_live as live
from cli.terminal import output
from streamer import models
from streamer.live.devices.device import KINDS
from streamer.live.devices.portaudio import PortAudioBackend
from streamer.live.devices.sound_server import running_server
from streamer.live.devices.system_sound import look_at_system_sound
from streamer.live.realtime import memory_lock, priority
from streamer.user_folders import cache_folder

_NO_SOUND = "plug one in, or start PipeWire, PulseAudio or JACK"
_LIMITS = "'@audio - {}' in /etc/security/limits.d/audio.conf, and your user in group audio"
_CACHES = "set NUMBA_CACHE_DIR and XDG_CACHE_HOME to folders of yours with room in them"
_CACHE_BYTES = 10_000_000
PACKAGES = ("torch", "demucs", "numba", "soundfile", "av", "soxr")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: what was looked at, whether it works, and the way to it if not."""

    subject: str
    works: bool
    told: str
    remedy: str = ""


def doctor() -> None:
    """Look at everything that stemstream stands on; exit with 1 if a needed part is missing."""
    table = Table("", "part", "found", "what brings it", box=None)
    missing = False
    for finding, needed in examine():
        missing |= needed and not finding.works
        mark = "ok" if finding.works else "MISSING" if needed else "-"
        table.add_row(mark, finding.subject, finding.told, finding.remedy)
    output.print(table)
    if missing:
        raise typer.Exit(1)


def examine() -> Iterator[tuple[Finding, bool]]:
    """Yield each finding, and whether separating files needs it to work."""
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    yield Finding("machine", True, f"{system}, Python {platform.python_version()}"), True
    for package in PACKAGES:
        yield _package(package), True
    yield _attempt("torchaudio", _torchaudio, "pip install torchaudio"), False
    yield _attempt("devices", _devices, "pip install torch"), True
    yield _attempt("PortAudio", _portaudio, "apt install libportaudio2"), False
    yield _attempt("sound server", running_server), False
    yield _attempt("JACK", live.jack), False
    yield _attempt("sound devices", _sound, _NO_SOUND), False
    yield _attempt("live --system", look_at_system_sound), False
    yield _attempt("live --midi", live.midi), False
    yield _attempt("live --page", live.page), False
    yield _priority(), False
    yield _memory(), False
    yield _embedded(), True
    yield _fetched(), False
    yield _attempt("kept between runs", _kept, _CACHES), False
    yield _attempt("compiled code", _compiled, _CACHES), False
    yield _attempt("hub", _hub, "connect to the network; only new weights need it"), False
    yield _disk(), True


def _package(name: str) -> Finding:
    try:
        return Finding(name, True, version(name))
    except PackageNotFoundError:
        return Finding(name, False, "not installed", f"pip install {name}")


def _attempt(subject: str, look: Callable[[], str], remedy: str = "") -> Finding:
    """Report what ``look`` returns, or the reason it gives for not working.

    Without a ``remedy`` it is the end of the reason, as errors of ours have it.
    """
    try:
        return Finding(subject, True, look())
    except Exception as error:  # each library has its own
        (told, *_) = str(error).strip().splitlines() or [type(error).__name__]
        told = told.removesuffix("; see `stemstream doctor`")
        if not remedy:
            told, _, remedy = told.partition("; ")
        return Finding(subject, False, told, remedy.removeprefix("try "))


def _torchaudio() -> str:
    from streamer.models.torchaudio_resample import load_torchaudio

    return str(load_torchaudio().__version__)


def _devices() -> str:
    from streamer.models.devices import present

    return ", ".join(kind if count == 1 else f"{count} {kind}" for kind, count in present().items())


def _portaudio() -> str:
    backend = PortAudioBackend()
    return f"{backend.version()}: {', '.join(backend.hostapis())}"


def _sound() -> str:
    found = PortAudioBackend().devices()
    inputs, outputs = (sum(1 for each in found if each.channels(kind)) for kind in KINDS)
    if not found:
        raise OSError("none")
    return f"{inputs} with inputs, {outputs} with outputs"


def _priority() -> Finding:
    # PortAudio asks for it itself; rtkit serves sound servers, which have threads of their own
    if priority.is_granted():
        return Finding("real-time priority", True, "granted")
    told, remedy = "not granted, so a busy machine clicks", _LIMITS.format("rtprio 95")
    return Finding("real-time priority", False, told, remedy)


def _memory() -> Finding:
    if memory_lock.is_granted():
        return Finding("memory lock", True, "granted")
    told, remedy = (
        "not granted, so a machine that swaps clicks",
        _LIMITS.format("memlock unlimited"),
    )
    return Finding("memory lock", False, told, remedy)


def _embedded() -> Finding:
    embedded = [name for name in models.names() if models.info(name).origin == "embedded"]
    gone = [name for name in embedded if models.available(name) is None]
    if gone:
        remedy = "pip install --force-reinstall stemstream"
        return Finding("embedded models", False, f"weights are gone: {', '.join(gone)}", remedy)
    return Finding("embedded models", True, ", ".join(embedded))


def _fetched() -> Finding:
    hub = [name for name in models.names() if models.info(name).origin == "hub"]
    here = [name for name in hub if models.available(name) is not None]
    told = ", ".join(here) or "none fetched yet"
    return Finding("larger models", bool(here), told, "stemstream models download NAME")


def _kept() -> str:
    folder = cache_folder("doctor")
    if folder is None:
        raise OSError("nothing: the user has no home folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_CACHE_BYTES))
            file.flush()
        folder.rmdir()
    except OSError as error:
        raise OSError(
            f"nothing, so models start slowly: {folder.parent}: {error.strerror}"
        ) from None
    return f"in {folder.parent}"


def _compiled() -> str:
    from ringbuffer.compiled import kept_in

    try:
        return f"kept in {kept_in()}"
    except OSError as error:
        told = error.strerror or str(error)
        raise OSError(f"not kept ({told}), so each start is slow") from None


def _hub() -> str:
    from streamer.models.weights.hub import reachable

    if not reachable():
        raise OSError("cannot be reached")
    return "reachable"


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    return Finding(
        "disk here", free > 1, f"{free:.1f} GB free", "" if free > 1 else "free some space"
    )
