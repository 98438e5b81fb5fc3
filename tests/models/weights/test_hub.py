"""Fetching, from a stand-in for the hub on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server of ``/NAMESPACE/REPO/resolve/main/FILE`` from a folder; its address, the folder."""
    folder = tmp_path / "served"

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(with_body=False)

        def do_GET(self) -> None:
            self.answer(with_body=True)

        def answer(self, *, with_body: bool) -> None:
            path = folder / self.path.split("?")[0].replace("/resolve/main/", "/").lstrip("/")
            found = path.is_file()
            body = path.read_bytes() if found else b""
            self.send_response(200 if found else 404)
            if not found:
                self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("X-Repo-Commit", "0" * 40)
            self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    thread.join()
    server.server_close()


def run(code: str, address: str, home: Path) -> list[str]:
    """Run code in a process of its own, since huggingface_hub reads its settings when imported."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    env |= {"HF_ENDPOINT": address, "HF_HOME": str(home), "PYTHONPATH": str(ROOT)}
    env |= {"HF_HUB_DISABLE_XET": "1", "no_proxy": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "-c", "import json\nfrom streamer.models import *\n" + code],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: list[str] = json.loads(done.stdout)
    return answer


FETCH = """
before = available("htdemucs"), resolve_auto()[0]
paths = download("htdemucs")
bag = load("htdemucs", device="cpu")
print(json.dumps([str(before[0]), before[1], paths[0].name, str(available("htdemucs").bytes)]))
"""

FAIL = """
try:
    load("htdemucs", device="cpu")
except Exception as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""


def test_fetched_once_and_then_here(hub, make, export, tmp_path):
    address, folder = hub
    file = export(make("htdemucs"), "955717e8")
    (folder / "adefossez/HTDemucs").mkdir(parents=True)
    size = str(file.stat().st_size)
    file.rename(folder / "adefossez/HTDemucs" / file.name)
    got = run(FETCH, address, tmp_path / "home")
    assert got == ["None", "htdemucs", "955717e8.safetensors", size]


def test_a_damaged_file_is_fetched_again(hub, make, export, tmp_path):
    address, folder = hub
    served = folder / "adefossez/HTDemucs/955717e8.safetensors"
    served.parent.mkdir(parents=True)
    export(make("htdemucs"), "955717e8").rename(served)
    code = "print(json.dumps([str(download('htdemucs')[0])]))"
    (path,) = run(code, address, tmp_path / "home")
    blob = Path(path).resolve()
    blob.write_bytes(bytes(blob.stat().st_size))
    kind, message = run(FAIL, "http://127.0.0.1:9", tmp_path / "home")
    assert kind == "WeightsError"
    assert "is damaged or was changed" in message
    assert run(code, address, tmp_path / "home") == [path]
    assert blob.read_bytes() == served.read_bytes()


def test_a_portal_that_answers_for_the_hub_does_not_tell_what_it_has(tmp_path):
    class Portal(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(b"<html>Welcome to our hotel</html>")

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Portal)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        kind, message = run(FAIL, address, tmp_path / "home")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert kind == "WeightsError"
    assert "does not have it" not in message
    assert "where there is a network" in message


def test_what_the_hub_does_not_have_is_told(hub, tmp_path):
    kind, message = run(FAIL, hub[0], tmp_path / "home")
    assert kind == "WeightsError"
    assert "adefossez/HTDemucs does not have it" in message


def test_a_folder_that_cannot_be_written_is_named(hub, make, export, tmp_path):
    address, folder = hub
    (folder / "adefossez/HTDemucs").mkdir(parents=True)
    file = export(make("htdemucs"), "955717e8")
    file.rename(folder / "adefossez/HTDemucs" / file.name)
    home = tmp_path / "home"
    home.mkdir()
    (home / "hub").write_text("a file where the cache would be")
    kind, message = run(FAIL, address, home)
    assert kind == "WeightsError"
    assert f"cannot be stored in {home}" in message
    assert "HF_HOME" in message
