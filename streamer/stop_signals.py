"""The signals that ask a run to end: it cleans up, tells its results, and exits with 128 and more.

They are Ctrl-C, a plain `kill`, and a closed terminal (Windows has no signal for that).
"""

from __future__ import annotations

import signal
from typing import Final

STOP_SIGNALS: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
