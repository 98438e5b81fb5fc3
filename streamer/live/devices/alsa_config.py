"""Devices of ALSA's that lead to named places of a sound server, for this process alone.

PortAudio reaches the server through ALSA's plugin, which plays on the server's default. A device
of its own for each place leads nowhere else, whatever the default is.
"""

from __future__ import annotations

import ctypes
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

PATHS: Final = "ALSA_CONFIG_PATH"
_USUAL: Final = "/usr/share/alsa"


@contextmanager
def alsa_devices(places: Mapping[str, str]) -> Iterator[None]:
    """Have ALSA know a device for each sink or source of the server, beside all that it knows.

    ALSA looks into the file again each time PortAudio starts.
    """
    before = os.environ.get(PATHS)
    with tempfile.TemporaryDirectory(prefix="stemstream") as folder:
        file = Path(folder, "asound.conf")
        # JSON writes these texts as ALSA reads them
        lines = (
            f"pcm.{name} {{ type pulse device {json.dumps(place)} }}\n"
            for name, place in places.items()
        )
        file.write_text("".join(lines), "utf-8")
        os.environ[PATHS] = f"{before or _system_file()}:{file}"
        try:
            yield
        finally:
            if before is None:
                del os.environ[PATHS]
            else:
                os.environ[PATHS] = before


def _system_file() -> str:
    """Return the file that ALSA reads where no other one is named."""
    folder: str = _USUAL
    with suppress(OSError, AttributeError):  # an older library does not tell
        library = ctypes.CDLL("libasound.so.2")
        folder = os.fsdecode(ctypes.CFUNCTYPE(ctypes.c_char_p)(("snd_config_topdir", library))())
    return f"{folder}/alsa.conf"
