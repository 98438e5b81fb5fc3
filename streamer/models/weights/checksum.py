"""Check that a weights file is what its name says.

Two kinds of names promise a SHA-256: Demucs's ``SIGNATURE-CHECKSUM.EXT`` (its first digits), and
the files of the Hugging Face cache, whose real name for large files is the whole digest.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from streamer.errors import WeightsError

NO_DIGESTS: Final[Mapping[str, str]] = {}
"""Of a place of which no file's digest is known beforehand."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SUFFIX = re.compile(r"(?P<signature>.+)-(?P<checksum>[0-9a-f]{8,64})")


def split_name(path: Path) -> tuple[str, str | None]:
    """Return the signature in a file's name, and the checksum digits if it has any."""
    match = _SUFFIX.fullmatch(path.stem)
    if match is None:
        return path.stem, None
    return match["signature"], match["checksum"]


def promised(path: Path) -> str | None:
    """Return the first digits of the SHA-256 that the file's name promises, or None."""
    real_name = path.resolve().name
    if _DIGEST.fullmatch(real_name):
        return real_name
    return split_name(path)[1]


def verify(path: Path, expected: str | None = None) -> None:
    """Check a file against ``expected`` (first digits of a SHA-256), else what its name promises.

    A file whose name promises nothing passes.

    Raises:
        WeightsError: the file is not what it should be, or cannot be read.
    """
    expected = expected or promised(path)
    if expected is None:
        return
    try:
        with path.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}); check its rights") from error
    if not actual.startswith(expected):
        own = f", or rename it if -{expected[:12]} is no checksum" if split_name(path)[1] else ""
        raise WeightsError(
            f"{path.resolve()} is damaged or was changed (its SHA-256 begins "
            f"{actual[: len(expected)][:12]}, not {expected[:12]}); fetch it again{own}"
        )
