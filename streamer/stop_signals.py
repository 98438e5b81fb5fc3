"""The signals that ask a run to end: it cleans up, tells what it has, and exits with 128 and more.

Ctrl-C, the polite `kill`, and the terminal that was closed (which Windows does not tell).
"""

from __future__ import annotations

import signal
from typing import Final

STOP_SIGNALS: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
