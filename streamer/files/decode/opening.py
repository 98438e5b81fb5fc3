"""Open anything that contains audio: files of any format, pipes, and the stems of a stem file."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from streamer.arguments import check_path
from streamer.audio import FASTEST_HZ, SLOWEST_HZ
from streamer.errors import SourceError
from streamer.files.decode.source import Source, unreadable

if TYPE_CHECKING:
    from streamer.files.decode.pcm_sizes import RightSizes

STANDARD_INPUT = "-"
MIXTURE = "mixture"
"""The name of the mix among the stems."""
MOST_CHANNELS = 64
PCM_MAGIC = (b"RIFF", b"RF64", b"riff", b"FORM", b".snd", b"caff")
"""The first bytes of the file types that libsndfile reads."""

# By whether the header states no length at all.
_NOTES = {
    False: "{} is longer than it states, as after a crash of its recorder; it is read to its end",
    True: "{} states no length, as after a crash of its recorder or from a pipe; it is read to its "
    "end",
}


def open_source(path: str | Path, stream: int | None = None) -> Source:
    """Open a file, a named pipe, or ``"-"`` for standard input, to be read in a stream.

    libsndfile reads uncompressed files, FFmpeg all others. ``stream`` is the number of the audio
    stream, from 0. None takes the mix of a stem file, and in any other file the default stream,
    else the first.

    Raises:
        SourceError: it is missing, a folder, empty or unreadable, has no audio or no such stream,
            or states a sample rate or a number of channels that no audio has.
    """
    check_path("path", path)
    source = _open(path, stream)
    label = "standard input" if str(path) == STANDARD_INPUT else path
    if source.channels > MOST_CHANNELS:
        source.close()
        raise SourceError(
            f"{label} states {source.channels} channels, and 1 to {MOST_CHANNELS} can be "
            "separated; its header is damaged, or split it into files of fewer channels"
        )
    if not SLOWEST_HZ <= source.samplerate <= FASTEST_HZ:
        source.close()
        raise SourceError(
            f"{label} states a sample rate of {source.samplerate} Hz, and {SLOWEST_HZ} to "
            f"{FASTEST_HZ} Hz can be separated; its header is damaged, or it is no audio"
        )
    return source


def _open(path: str | Path, stream: int | None) -> Source:
    if path == "":
        raise SourceError("An empty name was given for an input; name a file")
    if str(path) == STANDARD_INPUT:
        source = _stream_source("standard input", _open_stdin, stream)
        source.name = "stdin"
        return source
    path = Path(path)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise SourceError(f"{path} is a folder; name the files in it, as in {path}/*")
        if not stat.S_ISREG(status.st_mode):
            return _stream_source(path.name, _opener(path), stream)
        if status.st_size == 0:
            raise SourceError(f"{path} is empty, 0 bytes long; get the file again")
        with path.open("rb") as file:
            head = file.read(4)
    except OSError as error:
        raise unreadable(str(path), error) from None
    except ValueError:
        raise SourceError(f"{str(path)!r} cannot be a file name; check the path") from None
    sizes = _right_sizes(path, head)
    pcm = None if stream else _pcm_source(path, head, sizes)
    source = pcm or _av_source(path, stream, sizes)
    if sizes is not None:
        source.notes = [*source.notes, _NOTES[sizes.unknown].format(path.name)]
    return source


def reference_stems(path: str | Path) -> dict[str, Source] | None:
    """Open the true stems of a stem file (NI ``.stem.mp4``) by name; None for any other file.

    Frame n of each stem belongs to frame n of ``open_source(path)``. Names are those of
    `stem_streams`.

    Raises:
        SourceError: it is a stem file, but a stem cannot be decoded.
    """
    streams = stem_streams(path)
    if MIXTURE not in streams:
        return None
    with ExitStack() as opened:
        stems = {
            name: opened.enter_context(open_source(path, stream))
            for name, stream in streams.items()
            if name != MIXTURE
        }
        opened.pop_all()
    return stems


def stem_streams(path: str | Path) -> dict[str, int]:
    """Return which audio stream of a stem file is which stem; empty for any other file.

    With five streams the first is the mix, "mixture"; with four there is no mix. The file gives the
    names; they are put in lower case, and "vox" becomes "vocals". Without names in the file they
    are drums, bass, other, vocals.
    """
    from streamer.files.mp4_boxes import STEM_NAMES, read_stem_names

    path = Path(path)
    if path.suffix.lower() not in (".mp4", ".m4a") or not path.is_file():
        return {}
    streams = _audio_streams(path)
    if streams not in (len(STEM_NAMES), 1 + len(STEM_NAMES)):
        return {}
    told = [name.lower() for name in read_stem_names(path)]
    names = ["vocals" if name == "vox" else name for name in told]
    if len(set(names)) != len(STEM_NAMES):
        names = list(STEM_NAMES)
    order = names if streams == len(STEM_NAMES) else [MIXTURE, *names]
    return {name: index for index, name in enumerate(order)}


def _open_stdin() -> BinaryIO:
    try:
        return cast(BinaryIO, os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0))
    except (AttributeError, OSError):
        raise SourceError("There is no standard input; name a file instead of -") from None


def _opener(path: Path) -> Callable[[], BinaryIO]:
    def opener() -> BinaryIO:
        try:
            return cast(BinaryIO, path.open("rb", buffering=0))
        except OSError as error:
            raise unreadable(str(path), error) from None

    return opener


def _stream_source(label: str, opener: Callable[[], BinaryIO], stream: int | None) -> Source:
    from streamer.files.decode.compressed import AvSource

    return AvSource(label, opener, stream=stream, rewindable=False, length_is_stated=False)


def _right_sizes(path: Path, head: bytes) -> RightSizes | None:
    from streamer.files.decode.pcm_sizes import right_sizes

    return right_sizes(path) if head.startswith(PCM_MAGIC) else None


def _pcm_source(path: Path, head: bytes, sizes: RightSizes | None) -> Source | None:
    """The file as libsndfile reads it, or None if that is not for it."""
    import soundfile

    from streamer.files.decode.pcm import PcmSource

    if not head.startswith(PCM_MAGIC) or (sizes is not None and not sizes.fits):
        return None
    try:
        return PcmSource(path, sizes)
    except soundfile.LibsndfileError:
        return None


def _av_source(path: Path, stream: int | None, sizes: RightSizes | None) -> Source:
    from streamer.files.decode.compressed import AvSource
    from streamer.files.tags import read_tags, states_length

    opener = _opener(path) if sizes is None else _patcher(path, sizes)
    is_stems = _is_stem_file(path)
    streams = stem_streams(path) if is_stems and stream is None else {}
    if streams and MIXTURE not in streams:
        raise SourceError(
            f"{path.name} holds stems and no mix of them; give a file with the mix, or one of the "
            "stems, stream=1 to 4"
        )
    source = AvSource(
        path.name,
        opener,
        stream=0 if is_stems and stream is None else stream,
        length_is_stated=states_length(path),
    )
    if is_stems:
        source.notes = []  # everybody knows what their streams are
    source.tags = read_tags(path)
    return source


def _is_stem_file(path: Path) -> bool:
    """Return whether a file is a stem file, by its name or its content."""
    from streamer.files.mp4_boxes import read_stem_names

    name = path.name.lower()
    return name.endswith(".stem.mp4") or (
        name.endswith((".mp4", ".m4a")) and bool(read_stem_names(path))
    )


def _patcher(path: Path, sizes: RightSizes) -> Callable[[], BinaryIO]:
    from streamer.files.decode.pcm_sizes import Patched

    return lambda: cast(BinaryIO, Patched(path, sizes.patches))


def _audio_streams(path: Path) -> int:
    from streamer.files.av_open import Tap, open_container

    try:
        with path.open("rb") as file, open_container(Tap(file)) as container:
            return len(container.streams.audio)
    except Exception:  # as damaged as it may be
        return 0
