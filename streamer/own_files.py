"""Where files that a user has made with this program are kept: scenes, maps of controllers."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def own_folder(kind: str) -> Path | None:
    """Return the folder for one kind of a user's own files; None if there is no home folder."""
    try:
        return _home() / "stemstream" / kind
    except RuntimeError:  # as in some containers
        return None


def _home() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    if sys.platform == "win32":
        roaming = os.environ.get("APPDATA")
        return Path(roaming) if roaming else Path.home() / "AppData" / "Roaming"
    # the specification wants relative paths to be ignored
    named = Path(os.environ.get("XDG_DATA_HOME", ""))
    return named if named.is_absolute() else Path.home() / ".local" / "share"
