"""The signals that asked this run to stop, in their order; see `cli.main`.

Libraries that are stopped while they are imported turn that into errors of their own, so whoever
goes on after an unexpected error looks here first.
"""

from __future__ import annotations

from typing import Final

asked: Final[list[int]] = []
