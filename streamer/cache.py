"""What is kept between runs in the user's cache folder: small JSON files, one for each subject.

All of it is a convenience: a file that is damaged or of another layout counts as not there, and a
folder that is not there or not to be written to is done without.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def cache_folder(kind: str) -> Path | None:
    """Return the folder for what is kept of one kind; None where the user has no home folder."""
    try:
        return _cache_home() / "stemstream" / kind
    except RuntimeError:  # as in some containers
        return None


def machine() -> str:
    """Return what tells this machine's speed from another's: a home folder may be shared."""
    return f"{platform.system()} {platform.machine()}, {_processor()}, {processors()} cores"


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


class JsonStore:
    """Values by what they were measured of, which is any JSON object.

    Args:
        folder: where the files are; None: nothing is kept.
        layout: goes up when the meaning of what is stored changes.
    """

    def __init__(self, folder: Path | None, layout: int) -> None:
        self._folder = folder
        self._layout = layout

    def read(self, identity: Mapping[str, Any]) -> dict[str, Any]:
        """Return what was kept; empty if nothing was."""
        path = self._path(identity)
        if path is None:
            return {}
        try:
            stored = json.loads(path.read_text("utf-8"))
            return dict(stored["value"]) if stored["layout"] == self._layout else {}
        except (OSError, ValueError, TypeError, KeyError):
            return {}

    def write(self, identity: Mapping[str, Any], value: Mapping[str, Any]) -> None:
        """Keep a value in place of what is there."""
        path = self._path(identity)
        if path is None:
            return
        part = path.with_suffix(f".{os.getpid()}.part")
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            text = {"layout": self._layout, **identity, "value": value}
            part.write_text(json.dumps(text, indent=1), "utf-8")
            part.replace(path)  # whole or not at all, for whoever reads at the same time

    def _path(self, identity: Mapping[str, Any]) -> Path | None:
        if self._folder is None:
            return None
        text = json.dumps(identity, sort_keys=True)
        return self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor()


def _cache_home() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return Path(local) if local else Path.home() / "AppData" / "Local"
    # the specification wants relative paths to be ignored
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return named if named.is_absolute() else Path.home() / ".cache"
