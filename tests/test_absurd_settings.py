"""Settings that nobody could mean: one sentence each, wherever they stand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from streamer.errors import ModelError, SettingsError, StemstreamError
from streamer.models import load
from streamer.resolve import resolve

ENVIRONMENT_TRIED = """
from streamer.errors import StemstreamError
from streamer.models import load
for name in ("hf://mine", "htdemucs"):
    try:
        load(name, device="cpu")
    except StemstreamError as error:
        assert str(error).isprintable()
"""


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 5000,
        "a = " + "[" * 50_000 + "]" * 50_000,
        f"jobs = {'9' * 5000}",
        f"jobs = {'9' * 4000}",
        f"overlap = {'9' * 4000}",
        f"stems = {'[' * 300}{']' * 300}",
        "#" * 2_000_000,
    ],
    ids=lambda text: text[:12],
)
def test_a_deep_or_endless_settings_file_is_one_sentence(tmp_path, text):
    (tmp_path / "deep.toml").write_text(text)
    with pytest.raises(SettingsError, match=r"deep\.toml") as caught:
        resolve({}, {}, tmp_path / "deep.toml")
    assert len(str(caught.value)) < 600


def test_a_pipe_for_a_settings_file_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    # in a process of its own, since one that waits for a pipe never comes back
    code = "import sys; from pathlib import Path; from streamer.resolve import resolve; "
    code += "resolve({}, {}, Path(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "pipe.toml"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[1],
    )
    assert "pipe.toml is no regular file; give --config" in done.stderr.splitlines()[-1]


def test_a_device_for_a_settings_file_is_refused():
    with pytest.raises(SettingsError, match=r"^/dev/zero is no regular file; give --config"):
        resolve({}, {}, Path("/dev/zero"))


@pytest.mark.parametrize("name", ["model", "out", "repo", "stems", "two_stems", "filename"])
def test_an_endless_text_is_refused(name):
    with pytest.raises(SettingsError, match=r" must be at most 4096 characters; try ") as caught:
        resolve({name: "x" * 1_000_000}, {})
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "names", [["x" * 5000], ["x"] * 5000], ids=["one long name", "many short ones"]
)
def test_an_endless_list_of_texts_is_refused(names):
    with pytest.raises(SettingsError, match=r"^--stems=x.* must be at most 4096 characters"):
        resolve({"stems": names}, {})


def test_the_longest_text_is_taken():
    assert resolve({"model": "x" * 4096}, {}).settings.model == "x" * 4096


@pytest.mark.parametrize(
    ("name", "value"),
    [("jobs", 10**20), ("seed", 10**400), ("shifts", "9" * 5000), ("hop", 1e300), ("stems", "a,")],
)
def test_an_endless_number_is_refused(name, value):
    with pytest.raises(SettingsError, match=r" must be .*; try ") as caught:
        resolve({name: value}, {})
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("variable", ["DEMUCS_SHIFTS", "DEMUCS_OVERLAP", "TORCH_NUM_THREADS"])
def test_an_endless_variable_is_refused(variable):
    with pytest.raises(SettingsError, match=rf"^{variable}=9+\.\.\. must be"):
        resolve({}, {variable: "9" * 5000})


@pytest.mark.parametrize("name", ["-x", "x-", "a..b", "a--b", "x" * 200, "a/b.git", "a./b", "\0"])
def test_a_name_that_the_hub_cannot_have_is_refused(name):
    with pytest.raises(ModelError, match="must be hf://NAME or hf://NAMESPACE/NAME"):
        load(f"hf://{name}")


@pytest.mark.parametrize(
    "name", ["~nosuchuser/x.safetensors", "x\0.th", "x" * 300 + ".safetensors"]
)
def test_a_path_that_cannot_be_is_one_sentence(name):
    with pytest.raises(ModelError):
        load(name)


@pytest.mark.parametrize("repo", ["~nosuchuser", "x\0", "y" * 300])
def test_a_folder_that_cannot_be_is_one_sentence(repo):
    with pytest.raises(StemstreamError, match="folder"):
        load("htdemucs", repo=Path(repo))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HF_ENDPOINT", "http://["),
        ("HF_ENDPOINT", "http://x:abc"),
        ("HTTPS_PROXY", "http://x:99999999"),
        ("TORCH_HOME", "~nosuchuser"),
        ("HF_HUB_DOWNLOAD_TIMEOUT", "x"),
    ],
)
def test_a_broken_address_of_the_hub_is_one_sentence(tmp_path, variable, value):
    proxies = ("HTTPS_PROXY", "https_proxy", "HF_HUB_OFFLINE")
    clean = {name: one for name, one in os.environ.items() if name not in proxies}
    done = subprocess.run(
        [sys.executable, "-c", ENVIRONMENT_TRIED],
        env=clean | {"HF_HOME": str(tmp_path), variable: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
