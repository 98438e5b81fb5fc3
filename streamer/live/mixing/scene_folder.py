"""The scenes of a run: one folder of them, by name, and the one that is followed while it plays.

A name is a `streamer.naming.FileName`, never a path: nothing outside the folder can be reached by
it. A scene is one file, ``NAME.toml``, written whole or not at all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from streamer.errors import SettingsError
from streamer.files.part import sink_errors, stands
from streamer.live.mixing.levels import printable
from streamer.live.mixing.mixer import Mixer
from streamer.live.mixing.scene import SceneFile, save_scene
from streamer.naming import FileName
from streamer.user_folders import own_folder
from streamer.words import nearest

ENDING: Final = ".toml"
MOST_SCENES: Final = 256
"""How many a list shows: it goes to every remote."""
BUSY_SECONDS: Final = 1.0
"""How long a scene waits for another one that is being saved."""
_COARSE_NS: Final = 3_000_000_000


class SceneFolder:
    """Recalls and saves the scenes of a mixer. Any thread may call any method.

    The folder need not exist until the first scene is saved.
    """

    def __init__(self, folder: Path, mixer: Mixer) -> None:
        self.folder = folder
        self._mixer = mixer
        self._followed: SceneFile | None = None
        self._names: tuple[str, ...] = ()
        self._trouble = ""
        self._listed: int | None = None
        self._busy = threading.Lock()
        self._list()

    @property
    def names(self) -> tuple[str, ...]:
        """The scenes in the folder, as of the last look: this does not touch the disk."""
        return self._names

    @property
    def current(self) -> str:
        """The name of the scene that was recalled or saved last; "" is none."""
        followed = self._followed
        return followed.path.stem if followed and followed.path.parent == self.folder else ""

    def recall(self, name: object) -> None:
        """Recall a scene by its name, and follow its file from now on.

        Raises:
            SettingsError: there is none of that name, or it is wrong; nothing changes.
        """
        checked = _checked(name)
        with self._alone():
            self._list()
            self._check_there(checked)
            self._follow_now(SceneFile(self._path(checked)))

    def load(self, path: str) -> None:
        """Recall the scene in a file, and follow the file from now on.

        Raises:
            SettingsError: it is wrong; nothing changes.
        """
        with self._alone():
            self._follow_now(SceneFile(path))

    def save(self, name: object) -> None:
        """Save the present mix under a name, and follow its file from now on.

        Raises:
            SettingsError: it is no name.
            SinkError: it cannot be written; the file before stays.
        """
        checked = _checked(name)
        with self._alone():
            path = self._path(checked)
            save_scene(path, self._mixer.scene())
            self._written(path)
            self._list()

    def rename(self, old: object, new: object) -> None:
        """Give a scene another name.

        Raises:
            SettingsError: one is no name, there is no such scene, or the new name is taken.
            SinkError: the folder cannot be written.
        """
        before, after = _checked(old), _checked(new)
        with self._alone():
            self._list()
            self._check_there(before)
            path, target = self._path(before), self._path(after)
            # where large and small letters are the same, a scene may change them
            if stands(target) and not target.samefile(path):
                raise SettingsError(
                    f"scene={printable(new)} must be a name that no scene has yet; try another"
                )
            with sink_errors(target):
                path.rename(target)
            if self._followed is not None and self._followed.path == path:
                self._written(target)
            self._list()

    def follow(self) -> str | None:
        """Recall the followed scene again if its file has changed; return one sentence to show.

        It waits for nobody: while a scene is saved, it looks the next time.
        """
        if not self._busy.acquire(blocking=False):
            return None
        try:
            self._list_if_changed()
            return self._followed.follow(self._mixer) if self._followed is not None else None
        finally:
            self._busy.release()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep others from the files meanwhile: two saves of one name must not mix."""
        if not self._busy.acquire(timeout=BUSY_SECONDS):
            raise SettingsError("a scene is being saved, and the disk is slow; try again")
        try:
            yield
        finally:
            self._busy.release()

    def _follow_now(self, scene: SceneFile) -> None:
        scene.recall(self._mixer)
        self._followed = scene

    def _written(self, path: Path) -> None:
        """Follow a file that holds what plays."""
        scene = SceneFile(path)
        scene.remember()
        self._followed = scene

    def _path(self, name: FileName) -> Path:
        return self.folder / f"{name}{ENDING}"

    def _check_there(self, name: FileName) -> None:
        if name not in self._names and not self._path(name).is_file():  # more than are listed
            if self._trouble:
                raise SettingsError(
                    f"the scenes in {self.folder} cannot be read ({self._trouble}); "
                    "make the folder readable again"
                )
            there_are = f"it has {', '.join(self._names[:8])}" if self._names else "save one first"
            way_out = nearest(name, self._names, there_are)
            raise SettingsError(f"the folder has no scene {printable(name)}; {way_out}")

    def _list_if_changed(self) -> None:
        """List the folder only where need be: it may hold much else, and be slow to read."""
        now = time.time_ns()
        try:
            changed = self.folder.stat().st_mtime_ns
        except OSError:
            changed = 0
        if changed != self._listed:
            self._list()
            # the clock of a disk has coarse steps: what changed just now may change again in one
            self._listed = changed if now - changed > _COARSE_NS else None

    def _list(self) -> None:
        found, self._trouble = _scenes_in(self.folder)
        names = sorted(filter(_is_name, found), key=lambda name: (name.casefold(), name))
        self._names = tuple(names[:MOST_SCENES])


def refuse_unreadable(folder: Path) -> None:
    """Refuse a folder whose scenes cannot be read; it need not exist yet.

    Raises:
        SettingsError: it is none, or may not be read.
    """
    _, trouble = _scenes_in(folder)
    if trouble:
        raise SettingsError(
            f"scenes={folder} must be a folder that can be read ({trouble}); try another"
        )


def _scenes_in(folder: Path) -> tuple[list[str], str]:
    """Return the names of the scenes in a folder, and why it cannot be read, if so."""
    try:
        return [path.stem for path in folder.iterdir() if path.suffix == ENDING], ""
    except FileNotFoundError:  # there is none yet
        return [], ""
    except (OSError, ValueError) as error:
        return [], getattr(error, "strerror", None) or str(error)


def user_folder() -> Path:
    """Return the folder for the scenes of a user who named no other."""
    return own_folder("scenes") or Path("scenes")


def _checked(name: object) -> FileName:
    try:
        return FileName(name)
    except ValueError as error:
        raise SettingsError(f"scene={error}") from None


def _is_name(name: str) -> bool:
    try:
        FileName(name)
    except ValueError:
        return False
    return True
