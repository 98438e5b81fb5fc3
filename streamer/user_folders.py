"""The folders of a user: one for what this program keeps, one for what the user made with it."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder(kind: str) -> Path | None:
    """Return the folder for one kind of kept files; None if the user has no home folder."""
    return _folder(kind, mac="Caches", windows="Local", variable="XDG_CACHE_HOME", usual=".cache")


def own_folder(kind: str) -> Path | None:
    """Return the folder for one kind of a user's own files: scenes, maps of controllers.

    It is None if the user has no home folder.
    """
    return _folder(
        kind,
        mac="Application Support",
        windows="Roaming",
        variable="XDG_DATA_HOME",
        usual=".local/share",
    )


def _folder(kind: str, *, mac: str, windows: str, variable: str, usual: str) -> Path | None:
    try:
        if sys.platform == "darwin":
            base = Path.home() / "Library" / mac
        elif sys.platform == "win32":
            named = os.environ.get("LOCALAPPDATA" if windows == "Local" else "APPDATA")
            base = Path(named) if named else Path.home() / "AppData" / windows
        else:
            # the specification wants relative paths to be ignored
            base = Path(os.environ.get(variable, ""))
            if not base.is_absolute():
                base = Path.home() / usual
    except RuntimeError:  # as in some containers
        return None
    return base / "stemstream" / kind
