"""What is wrong with a port, a controller or a folder is told before the model is loaded.

The model that is asked for does not exist: whatever is looked at after it would not be told.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from live.support.command import once

from streamer.errors import SinkError
from streamer.files.part import refuse_unwritable_folder
from streamer.live.listen import LOOPBACK, bound

Refused = Callable[..., tuple[int, str]]
NO_MODEL = ("--model", "no_such_model")
PORTS = {"page": socket.SOCK_STREAM, "metrics": socket.SOCK_STREAM, "osc": socket.SOCK_DGRAM}


@pytest.mark.parametrize("name", PORTS)
def test_a_port_that_is_taken_is_told_before_the_model_is_loaded(
    refused: Refused, name: str
) -> None:
    backlog = int(PORTS[name] == socket.SOCK_STREAM)
    with bound(name, LOOPBACK, 0, PORTS[name], backlog=backlog) as taken:
        port = taken.getsockname()[1]
        code, line = refused(*NO_MODEL, f"--{name}", port)
    assert code == 2
    assert f"{name}={port} must be a port that no other program has on {LOOPBACK}; try 0" in line


def test_two_servers_on_one_port_are_told_before_the_model_is_loaded(refused: Refused) -> None:
    with bound("page", LOOPBACK, 0, socket.SOCK_STREAM, backlog=1) as free:
        port = free.getsockname()[1]
    code, line = refused(*NO_MODEL, "--page", port, "--metrics", port)
    assert code == 2
    assert f"page={port} must be a port that no other program has" in line


def test_a_host_that_is_not_ours_is_told_before_the_model_is_loaded(refused: Refused) -> None:
    code, line = refused(*NO_MODEL, "--osc", 0, "--host", "203.0.113.1")
    assert code == 2
    assert "host=203.0.113.1 must be an address of this machine" in line


def test_a_controller_that_is_not_there_is_told_before_the_model_is_loaded() -> None:
    done = once("live", *NO_MODEL, "--midi", "no such controller")
    assert done.returncode in (2, 6)  # 2: the extra is not installed
    (line,) = done.stderr.splitlines()
    assert "midi" in line.casefold()


def test_a_scene_that_is_wrong_is_told_before_the_model_is_loaded(
    refused: Refused, tmp_path: Path
) -> None:
    path = tmp_path / "band.toml"
    path.write_text("master_db = ")
    code, line = refused(*NO_MODEL, "--scene", path, "--output-channels", 2)
    assert code == 2
    assert "no valid TOML" in line


@pytest.mark.parametrize("name", ["scenes", "record", "takes"])
def test_a_folder_that_takes_no_file_is_told_before_the_model_is_loaded(
    refused: Refused, tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").touch()
    code, line = refused(*NO_MODEL, f"--{name}", tmp_path / "file" / "folder")
    assert code in (2, 4)
    assert str(tmp_path / "file" / "folder") in line


def test_scenes_that_cannot_be_read_are_told_before_the_model_is_loaded(
    refused: Refused, tmp_path: Path
) -> None:
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    code, line = refused(*NO_MODEL, "--scenes", circle)
    assert code == 2
    assert "circle must be a folder that can be read (" in line


def test_a_read_only_disk_is_told_before_the_model_is_loaded(
    refused: Refused, read_only_disk: Path
) -> None:
    for folder in (read_only_disk, read_only_disk / "band" / "scenes"):
        code, line = refused(*NO_MODEL, "--scenes", folder)
        assert code == 4
        assert f"{folder} cannot be written: the disk is read-only" in line


def test_looking_at_a_folder_leaves_nothing_there(tmp_path: Path) -> None:
    refuse_unwritable_folder(tmp_path)
    refuse_unwritable_folder(tmp_path / "a" / "b")
    assert not [*tmp_path.iterdir()]
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match="a file stands where its folder should be"):
        refuse_unwritable_folder(tmp_path / "file")
