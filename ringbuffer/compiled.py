"""How functions are compiled: by Numba, and kept on disk for the next start where that works.

All functions go through here, `compiled` and `c_function`, and nowhere through ``numba.njit``: its
own cache raises where there is no place for it, on a full disk, and for a file that is damaged.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import tempfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar

import numba
import numpy as np
from numba.core import sigutils
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.ccallback import CFunc
from numba.core.errors import NumbaError

from ringbuffer.kept import read_sealed, write_sealed

# Numba's annotations cover a part of it, another part in each version.
_numba: Any = numba
_FunctionCache: Any = FunctionCache
_IndexDataCacheFile: Any = IndexDataCacheFile
_CFunc: Any = CFunc
_sigutils: Any = sigutils

_LOG = logging.getLogger(__name__)
_ANY_ORDER = {"contract", "reassoc", "nsz", "arcp"}  # what is no number stays none
_ROOM_BYTES = 1 << 20
"""About what all functions of this project take."""
_SAYS_IT_ALLOCATES = ("NRT required", "Only accept returning of array passed")
_REFUSED = (
    "compiled code takes no memory and returns no array that it makes: make it outside, and pass "
    "it as an argument; go through an array by its elements, not as a whole"
)

_Function = TypeVar("_Function", bound=Callable[..., object])


def compiled(
    signature: Any = None, *, any_order: bool = False, inlined: bool = False, inside: bool = False
) -> Callable[[_Function], _Function]:
    """Compile for one Numba signature at import, or for any when it is first called.

    Compiled code releases the GIL and divides by zero as numpy does. It counts no references, so it
    makes no arrays: Numba refuses to compile what would. ``any_order``: it may add and multiply in
    another order than the source says, so that several numbers are computed at a time. ``inlined``:
    it becomes a part of the functions that call it. Where that is one, this takes half the time to
    compile. Where it is large and they are several, see `ringbuffer.pointers`.

    An explicit signature means that nothing is compiled later, when audio runs, and that a wrong
    dtype or memory layout is refused instead of read as something else. ``inside``: only compiled
    functions call it, so it is part of those that are kept on disk. It is neither compiled nor
    read from there before it is needed, which is what most starts never do.
    """

    def decorate(function: _Function) -> _Function:
        made = _numba.njit(
            nogil=True,
            _nrt=False,
            error_model="numpy",
            fastmath=_ANY_ORDER if any_order else False,
            inline="always" if inlined else "never",
            no_cfunc_wrapper=True,
        )(function)
        made._cache = _Cache(function)
        if signature is None:
            _compile_for_any(made)
        else:
            _compile_when_called(made, signature) if inside else _compile_now(made, signature)
        compiled_function: _Function = made
        return compiled_function

    return decorate


def _compile_now(made: Any, signature: Any) -> Any:
    with _refusal():
        entry = made.compile(signature)
    made.disable_compile()
    return entry


def _compile_for_any(made: Any) -> None:
    def compile_for(types: Any) -> Any:
        with _refusal():
            return type(made).compile(made, types)

    made.compile = compile_for


@contextlib.contextmanager
def _refusal() -> Iterator[None]:
    """Say it in plain words where Numba refuses code since it would take memory."""
    try:
        yield
    except NumbaError as error:
        told = _REFUSED in getattr(error, "__notes__", ())
        if not told and any(sign in str(error) for sign in _SAYS_IT_ALLOCATES):
            error.add_note(_REFUSED)
        raise


def _compile_when_called(made: Any, signature: Any) -> None:
    def compile_for(_types: Any) -> Any:
        del made.compile  # the class's own from now on
        return _compile_now(made, signature)

    made.compile = compile_for


def c_function(signature: Any) -> Callable[[Any], Any]:
    """Compile at import to a function that C can call; its ``address`` is what C is given."""

    def decorate(function: Any) -> Any:
        types = _sigutils.normalize_signature(signature)
        made = _CFunc(function, types, locals={}, options={"error_model": "numpy", "_nrt": False})
        made._cache = _Cache(function)
        with _refusal():
            made.compile()
        return made

    return decorate


def is_to_come(function: Any) -> bool:
    """Return whether the first call of a `compiled` function will compile it, and keep the code."""
    return bool(function._cache.is_empty())


def kept_in() -> Path:
    """Return the folder where compiled code is kept.

    Raises:
        OSError: it cannot be kept; the message says why.
    """
    try:
        folder = Path(_FunctionCache(kept_in).cache_path)
    except RuntimeError:
        raise OSError("there is no folder for it") from None
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(_ROOM_BYTES))
        file.flush()
    return folder


class _Cache:
    """What was compiled of one function. That it cannot be kept is no reason not to run."""

    told = False
    """Whether it was said that compiled code is not kept."""

    def __init__(self, function: Any) -> None:
        self._function = function
        _stamp(function.__code__.co_filename)

    @functools.cached_property
    def _kept(self) -> Any:
        """Numba's cache, from the first use on: what is defined below the function is known then,
        and most functions are never asked for. None: nothing is kept.
        """
        try:
            kept = _FunctionCache(self._function)
        except RuntimeError:  # no folder can be written to, as for a service without a home
            self._tell("there is no folder for it")
            return None
        impl = kept._impl
        kept._cache_file = _SealedFiles(
            impl.locator.get_cache_path(),
            impl.filename_base,
            (impl.locator.get_source_stamp(), *_made_of(self._function)),
        )
        return kept

    @property
    def cache_path(self) -> str | None:
        """See Numba's cache."""
        return self._kept.cache_path if self._kept is not None else None

    def is_empty(self) -> bool:
        """Return whether it keeps what is compiled, and nothing is kept yet."""
        return self._kept is not None and not self._kept._cache_file._load_index()

    def load_overload(self, signature: Any, context: Any) -> Any:
        """See Numba's cache.

        That gets ready to compile first: it imports all that Numba can compile, which takes a fifth
        of a second. Code that is compiled needs none of it.
        """
        if self._kept is None:
            return None
        with self._kept._guard_against_spurious_io_errors():  # on Windows, of two processes at once
            return self._kept._load_overload(signature, context)

    def save_overload(self, signature: Any, result: Any) -> None:
        """See Numba's cache."""
        if self._kept is not None:
            try:
                self._kept.save_overload(signature, result)
            except OSError as error:  # a full disk
                self._tell(error.strerror or str(error))

    def flush(self) -> None:
        """See Numba's cache."""
        if self._kept is not None:
            self._kept.flush()

    @classmethod
    def _tell(cls, reason: str) -> None:
        if not cls.told:
            cls.told = True
            _LOG.warning(
                "compiled code cannot be kept (%s), so each start takes longer; set "
                "NUMBA_CACHE_DIR to a folder of yours with room in it",
                reason,
            )


def _made_of(function: Any) -> list[tuple[str, object]]:
    """Return what else is in a function's machine code, and changes with other files than its own.

    That is the source of each function that it calls, of those that they call, the constants, the
    layouts of records, and how it is compiled, which stands here.
    """
    parts: dict[str, object] = {}
    left, seen = [function, compiled], set()
    while left:
        code, names = left[-1].__code__, left.pop().__globals__
        if code in seen:
            continue
        seen.add(code)
        parts[code.co_filename] = _stamp(code.co_filename)
        for name, value in ((name, names.get(name)) for name in code.co_names):
            if isinstance(value, int | float | tuple | np.number | np.dtype):
                parts[f"{code.co_filename} {name}"] = repr(value)
            # Numba's names: of a function, an intrinsic one, one for C
            for attribute in ("py_func", "_defn", "_pyfunc"):
                called = getattr(value, attribute, None)
                if isinstance(called, FunctionType):
                    left.append(called)
    return sorted(parts.items())


@functools.cache
def _stamp(path: str) -> tuple[int, int] | None:
    """Return what tells a file from a later one; None: it is none, as in an archive.

    It is that of the first call, when the file is imported. One that is edited, or updated, before
    the code is compiled must not give the old code its own.
    """
    with contextlib.suppress(OSError):
        status = Path(path).stat()
        return status.st_mtime_ns, status.st_size
    return None


class _SealedFiles(_IndexDataCacheFile):  # type: ignore[misc, unused-ignore]
    """Numba's files, which end with a checksum: damaged machine code would be run, or worse."""

    def _load_index(self) -> Any:
        # what follows a pickle is not read, so the checksum is in nobody's way
        return super()._load_index() if _is_whole(self._index_path) else {}

    def _load_data(self, name: str) -> Any:
        return super()._load_data(name) if _is_whole(self._data_path(name)) else None

    @contextlib.contextmanager
    def _open_for_write(self, filepath: str) -> Iterator[BytesIO]:
        body = BytesIO()
        yield body
        write_sealed(Path(filepath), body.getvalue())


def _is_whole(path: str) -> bool:
    try:
        read_sealed(path)
    except (OSError, ValueError):
        return False
    return True
