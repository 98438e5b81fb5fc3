"""From the source's channels to the model's, and back. Plain functions, no state.

Blocks are float32 ``(frames, channels)``, stems ``(stems, frames, channels)``. A source of one
channel gets stems of one channel; any other gets stems with the channels of the model.

Every frame is computed alone, in the same order of additions. So the length of a block never
matters.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from streamer.audio import Samples

LOUDEST: Final = np.float32(1e12)
"""240 dB over full scale: no recording is that loud."""

_C = 0.5**0.5  # centre and surrounds: 3 dB less
_B = 0.5  # a single channel at the back: shared by both sides, 3 dB less again

# What each channel, in the order of WAV and FLAC files (RFC 9639, section 9.1.3), gives to left and
# right: the downward mixing of Recommendation ITU-R BS.775. ffmpeg's defaults are the same gains,
# and leave the LFE channel out too.
_TO_STEREO: Final[dict[int, tuple[tuple[float, float], ...]]] = {
    3: ((1, 0), (0, 1), (_C, _C)),
    4: ((1, 0), (0, 1), (_C, 0), (0, _C)),
    5: ((1, 0), (0, 1), (_C, _C), (_C, 0), (0, _C)),
    6: ((1, 0), (0, 1), (_C, _C), (0, 0), (_C, 0), (0, _C)),
    7: ((1, 0), (0, 1), (_C, _C), (0, 0), (_B, _B), (_C, 0), (0, _C)),
    8: ((1, 0), (0, 1), (_C, _C), (0, 0), (_C, 0), (0, _C), (_C, 0), (0, _C)),
}


def to_model(block: Samples, model_channels: int) -> Samples:
    """Return the block with the channels of the model (1 or 2); it may be the block itself.

    One channel is doubled. Three to eight are downmixed by ITU-R BS.775, scaled so that full scale
    on every channel stays full scale. Of more than eight the even and the odd ones are averaged.
    """
    if block.shape[1] == model_channels:
        return block
    if block.shape[1] == 1:
        return np.repeat(block, model_channels, axis=1)
    stereo = block if block.shape[1] == 2 else _to_stereo(block)
    return stereo if model_channels == 2 else _mean(stereo)


def to_mix(block: Samples, model_channels: int) -> Samples:
    """Return the block with the channels that its stems will have; it may be the block itself."""
    return block if block.shape[1] == 1 else to_model(block, model_channels)


def from_model(stems: Samples, source_channels: int) -> Samples:
    """Return the model's stems with the channels of `to_mix`: their mean for a mono source."""
    return _mean(stems) if source_channels == 1 and stems.shape[-1] == 2 else stems


def downmix_note(channels: int) -> str | None:
    """Return a note for the user on a source with this number of channels, or None."""
    if channels <= 2:
        return None
    if channels in _TO_STEREO:
        lfe = " without the LFE channel" if channels >= 6 else ""
        return f"{channels} channels are downmixed to stereo{lfe} (ITU-R BS.775)"
    return f"{channels} channels are downmixed to stereo: the even and the odd ones are averaged"


def repair(block: Samples) -> tuple[Samples, int]:
    """Return the block with every NaN and infinity made 0, and how many there were.

    Samples beyond `LOUDEST` also become 0: their sums and squares would be infinite. If there is
    nothing to repair, the block itself is returned, not a copy.
    """
    sound = np.abs(block) <= LOUDEST  # NaN is not
    count = block.size - int(np.count_nonzero(sound))
    return (np.where(sound, block, np.float32(0)), count) if count else (block, 0)


def _to_stereo(block: Samples) -> Samples:
    channels = block.shape[1]
    gains = np.array(_TO_STEREO.get(channels, [(1, 0), (0, 1)] * channels)[:channels])
    gains = (gains / gains.sum(axis=0)).astype(np.float32)
    stereo = np.zeros((len(block), 2), np.float32)
    # no matrix product: its order of sums, and so the last bit, depends on the block's length
    for channel, side in zip(*np.nonzero(gains), strict=True):
        stereo[:, side] += gains[channel, side] * block[:, channel]
    return stereo


def _mean(samples: Samples) -> Samples:
    mean: Samples = (samples[..., :1] + samples[..., 1:]) * np.float32(0.5)
    return mean
