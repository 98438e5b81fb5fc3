"""Where the shared libraries of this process were loaded from."""

from __future__ import annotations

import functools
from contextlib import suppress
from pathlib import Path


@functools.cache  # a copy that is loaded later is found under a name that is no more
def path_of(name: str) -> Path | None:
    """Return the file of the loaded library whose path has this in it; None: nobody tells."""
    with suppress(OSError):  # no /proc: not Linux
        for line in Path("/proc/self/maps").read_text().splitlines():
            if name in line:
                return Path(line.split(maxsplit=5)[-1])
    return None
