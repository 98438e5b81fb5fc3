"""What a job is told, beyond how its songs are separated."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import Final, Literal

from streamer.checked import Name, guarded
from streamer.live.listen import LOOPBACK
from streamer.settings import Settings

PANEL: Final = "Batch"
MOST_WORKERS: Final = 1024


class BatchSettings(Settings):
    """What a job is told. No settings file has these fields: they are of one run, by its flags.

    Raises:
        SettingsError: a value or a name is wrong; one sentence.
    """

    engine: Literal["local", "ray"] = guarded(
        "local", panel=PANEL, description="who does it: processes of this machine, or a Ray cluster"
    )
    workers: int | None = guarded(
        None,
        panel=PANEL,
        unit="N",
        ge=1,
        le=MOST_WORKERS,
        description="songs at a time, each in a process of its own [default: as many as "
        "processors and memory allow]",
        examples=[2],
    )
    address: Name | None = guarded(
        None,
        panel=PANEL,
        description="the Ray cluster's, such as auto or ray://head:10001; without one it starts "
        "here",
        examples=["auto"],
    )
    job: Path | None = guarded(
        None,
        panel=PANEL,
        unit="FOLDER",
        description="where the job's table is kept [default: OUT/.job]",
        examples=["job"],
    )
    keep_folders: bool = guarded(
        False, panel=PANEL, description="lay the stems out in folders as the songs are"
    )
    retry_failed: bool = guarded(False, panel=PANEL, description="try the songs again that failed")
    metrics: int | None = guarded(
        None,
        panel=PANEL,
        unit="PORT",
        ge=0,
        le=65535,
        description="port for Prometheus; 0 takes a free one and says which",
        examples=[9464],
    )
    host: Name = guarded(LOOPBACK, panel=PANEL, description="address that Prometheus reaches it at")

    def idle(self, asked: Container[str]) -> str | None:
        """See `Checked.idle`."""
        if "address" in asked and self.engine != "ray":
            return "{address} is a Ray cluster's; give {engine}=ray, too"
        if "host" in asked and self.metrics is None:
            return "{host} is for Prometheus; name its port with {metrics}"
        return super().idle(asked)
