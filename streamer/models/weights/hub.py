"""Weights on the Hugging Face hub: whether it is reachable, its cache, downloads, the old cache.

Demucs keeps each named model in a repository of its own: a bag file and one safetensors file per
network (`demucs.hf`). Versions before 4.1 fetched pickles into the cache of torch.hub.
"""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from streamer.errors import ModelError, WeightsError
from streamer.models.weights.bags import BagFile, read_bag
from streamer.models.weights.checksum import NO_DIGESTS, promised, split_name

NAMESPACE = "adefossez"  # demucs.hf.DEFAULT_NAMESPACE, which cannot be read without importing torch
PROBE_SECONDS = 2.0

_TRUE = {"1", "ON", "YES", "TRUE"}
_NAME = re.compile(r"hf://(?:(?P<namespace>[\w-][\w.-]*)/)?(?P<name>[\w-][\w.-]*)", re.ASCII)
_FOLDER_ERRORS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EEXIST,
}


def repo_name(name: str) -> str:
    """Return the repository of a model, as `demucs.hf.hf_repo_name` (which needs torch) does."""
    if name == "htdemucs":
        return "HTDemucs"
    if name.startswith("htdemucs_"):
        return "HTDemucs-" + name.removeprefix("htdemucs_")
    return "Demucs-" + name


def reachable(seconds: float = PROBE_SECONDS) -> bool:
    """Return whether the hub answers, within that many seconds.

    Without this, huggingface_hub retries for most of a minute before it gives up. If the system
    sends HTTPS through a proxy, the proxy is tried.
    """
    constants = _library().constants
    if constants.HF_HUB_OFFLINE or os.environ.get("HF_HUB_OFFLINE", "").upper() in _TRUE:
        return False
    host, port = _address(constants.ENDPOINT)
    try:
        with socket.create_connection((host, port), timeout=seconds):
            return True
    except (OSError, UnicodeError):  # the latter of a host that is no name
        return False


def _address(endpoint: str) -> tuple[str, int]:
    """Return the host and port to try: the hub's, or its proxy's.

    Raises:
        WeightsError: they are not addresses.
    """
    from urllib import request  # here, since it takes a while to import and few need it

    try:
        target = urlsplit(endpoint)
        proxy = request.getproxies().get(target.scheme)
        if proxy and target.hostname and not request.proxy_bypass(target.hostname):
            target = urlsplit(proxy if "//" in proxy else f"//{proxy}")
        return target.hostname or "", target.port or (80 if target.scheme == "http" else 443)
    except ValueError as error:
        raise _bad_environment(error) from None


def _library() -> Any:
    """Import huggingface_hub, which reads the environment at import.

    Raises:
        WeightsError: the environment has a value that it cannot read.
    """
    try:
        import huggingface_hub
        from huggingface_hub import constants, file_download  # noqa: F401
    except ValueError as error:
        raise _bad_environment(error) from None
    return huggingface_hub


def _bad_environment(error: ValueError) -> WeightsError:
    return WeightsError(
        f"the hub has no usable address ({error}); correct the environment variables that begin "
        "with HF_, and those for proxies"
    )


class HubPlace:
    """The weights of a model on the hub: in its cache, to be fetched, or in torch.hub's cache.

    Args:
        name: the model's name, which is also its bag file's.
        bag: the bag, if it is known; else the hub's bag file is fetched.
        namespace: whose repository it is.
        cache: the cache's folder (default: huggingface_hub's).
        pickles: whether pickles in torch.hub's cache may be used too.
    """

    sha256s: Mapping[str, str] = NO_DIGESTS

    def __init__(
        self,
        name: str,
        bag: BagFile | None = None,
        *,
        namespace: str = NAMESPACE,
        cache: Path | None = None,
        pickles: bool = False,
    ) -> None:
        constants = _library().constants
        self.name = name
        self.repo_id = f"{namespace}/{repo_name(name)}"
        self._bag = bag
        self._pickles = pickles
        self._cache = cache or Path(constants.HF_HUB_CACHE)
        self.folder = self._cache / f"models--{self.repo_id.replace('/', '--')}"

    @classmethod
    def parse(cls, name: str) -> HubPlace:
        """Make the place of ``hf://NAME`` or ``hf://NAMESPACE/NAME``.

        Raises:
            ModelError: it is written differently.
        """
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils._validators import validate_repo_id

        match = _NAME.fullmatch(name)
        try:
            if match is None:
                raise HFValidationError
            namespace = match["namespace"] or NAMESPACE
            validate_repo_id(f"{namespace}/{repo_name(match['name'])}")
        except HFValidationError:
            shown = ascii(name) if len(name) <= 100 else f"{name[:100]!a}..."
            raise ModelError(
                f"{shown} must be hf://NAME or hf://NAMESPACE/NAME, with names as the hub has them"
            ) from None
        return cls(match["name"], namespace=namespace)

    @property
    def bag(self) -> BagFile:
        """The bag; fetches the bag file if it was not given.

        Raises:
            WeightsError: the bag file cannot be fetched, or is not a bag file.
        """
        if self._bag is None:
            self._bag = read_bag(self._get(f"{self.name}.yaml"))
        return self._bag

    @property
    def knows_bag(self) -> bool:
        """Whether the bag is known without fetching anything."""
        return self._bag is not None or self._cached(f"{self.name}.yaml") is not None

    def find(self, member: str) -> Path | None:
        """Return the file of one network if it is on this machine."""
        found = self._cached(f"{member}.safetensors")
        if found is None and self._pickles:
            return _torch_hub_file(member)
        return found

    def get(self, member: str) -> Path:
        """Return the file of one network, fetched if need be.

        Raises:
            WeightsError: it cannot be fetched, or the cache cannot be written.
        """
        return self.find(member) or self._get(f"{member}.safetensors", _torch_hub_file(member))

    def _cached(self, filename: str) -> Path | None:
        found = _library().try_to_load_from_cache(self.repo_id, filename, cache_dir=self._cache)
        return Path(found) if isinstance(found, str) else None

    def get_anew(self, member: str) -> Path | None:
        """Return the file of one network, fetched in place of a damaged one; None: no hub is there.

        Raises:
            WeightsError: see `get`.
        """
        return self._fetch(f"{member}.safetensors", anew=True) if reachable() else None

    def _get(self, filename: str, pickle: Path | None = None) -> Path:
        found = self._cached(filename)
        if found is not None:
            return found
        if not reachable():
            raise self._missing(filename, "the hub cannot be reached from here", pickle)
        return self._fetch(filename, pickle)

    def _fetch(self, filename: str, pickle: Path | None = None, *, anew: bool = False) -> Path:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import (
            EntryNotFoundError,
            LocalEntryNotFoundError,
            RepositoryNotFoundError,
        )

        try:
            found = hf_hub_download(
                self.repo_id, filename, cache_dir=self._cache, force_download=anew
            )
            return Path(found)
        except LocalEntryNotFoundError as error:  # no hub answered, but perhaps somebody else
            raise self._missing(filename, _first_line(error), pickle) from error
        except OSError as error:
            if error.errno in _FOLDER_ERRORS:
                raise _unwritable(filename, self.folder, error) from error
            if isinstance(error, EntryNotFoundError | RepositoryNotFoundError):
                raise self._missing(filename, f"{self.repo_id} does not have it", pickle) from error
            raise self._missing(filename, _first_line(error), pickle) from error
        except Exception as error:  # the HTTP and transfer libraries below have trees of their own
            raise self._missing(filename, _first_line(error), pickle) from error

    def _missing(self, filename: str, reason: str, pickle: Path | None) -> WeightsError:
        if pickle is not None:
            return WeightsError(
                f"{self.name} needs {filename}, and {reason}; {pickle} has the same weights as a "
                "pickle, which can run code: --trust-checkpoint loads it"
            )
        return WeightsError(
            f"{self.name} needs {filename}, which is not in {self.folder}, and {reason}; run "
            f"`stemstream models download {self._command_name}` where there is a network, or copy "
            "the file into a folder and give that with --repo"
        )

    @property
    def _command_name(self) -> str:
        if self.repo_id.startswith(f"{NAMESPACE}/"):
            return self.name
        return f"hf://{self.repo_id.split('/')[0]}/{self.name}"


def _torch_hub_file(member: str) -> Path | None:
    """Return the complete pickle that an older Demucs left in torch.hub's cache, or None."""
    try:
        caches = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
        home = Path(os.environ.get("TORCH_HOME", caches / "torch")).expanduser()
    except RuntimeError:  # no such home folder
        return None
    for path in sorted((home / "hub" / "checkpoints").glob(f"{member}-*.th")):
        if split_name(path)[0] == member and promised(path):
            return path
    return None


def _unwritable(filename: str, folder: Path, error: OSError) -> WeightsError:
    return WeightsError(
        f"{filename} cannot be stored in {folder} ({error.strerror or error}); make room or set "
        "HF_HOME to a folder that can be written"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
