"""The facts that are needed to run a network, without reading its weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from streamer.models.separator import Stride

if TYPE_CHECKING:
    from streamer.models.networks.checkpoint import Network


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """The facts that are needed to feed a network.

    ``window_seconds`` is how much it sees at once, as its maker wrote it. ``transformer``: whether
    it is an HTDemucs; ``hybrid``, ``masks`` and ``halo_columns``: see `hybrid`; ``stride`` and
    ``level_rms`` are of a network that remembers the stream (`Streaming`), ``filters``: whether
    that is a `CausalFilters`; ``unets``: whether it is a `MaskUNets`.
    """

    names: tuple[str, ...]
    samplerate: int
    channels: int
    window_seconds: Fraction | float
    fft_frames: int
    transformer: bool
    hybrid: bool
    masks: bool
    halo_columns: int | None
    stride: Stride | None
    filters: bool
    unets: bool
    level_rms: float

    @classmethod
    def of(cls, network: Network) -> NetworkFacts:
        """Return the facts of a network."""
        from demucs.htdemucs import HTDemucs

        from streamer.models.networks.filters import CausalFilters
        from streamer.models.networks.hybrid import halo_columns, is_hybrid, masks
        from streamer.models.networks.mask_unet import MaskUNets

        return cls(
            names=tuple(network.sources),
            samplerate=int(network.samplerate),
            channels=int(network.audio_channels),
            window_seconds=network.segment,
            fft_frames=int(getattr(network, "nfft", 0)),
            transformer=isinstance(network, HTDemucs),
            hybrid=is_hybrid(network),
            masks=masks(network),
            halo_columns=halo_columns(network),
            stride=getattr(network, "stream_stride", None),
            filters=isinstance(network, CausalFilters),
            unets=isinstance(network, MaskUNets),
            level_rms=getattr(network, "level_rms", 1.0),
        )

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> NetworkFacts:
        """Return what `as_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: `as_json` did not write it.
        """
        seconds = value["window_seconds"]
        read = Fraction(seconds) if isinstance(seconds, str) else seconds
        stride = value["stride"] and Stride(**value["stride"])
        names = tuple(value["names"])
        return cls(**{**value, "names": names, "window_seconds": read, "stride": stride})

    def as_json(self) -> dict[str, Any]:
        """Return it as values that JSON takes."""
        seconds = self.window_seconds
        written = str(seconds) if isinstance(seconds, Fraction) else seconds
        return {**asdict(self), "window_seconds": written}
