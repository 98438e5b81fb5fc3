"""What the benches that run whole commands share: the two commands, models for both, songs."""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files, version
from importlib.resources import as_file
from importlib.resources import files as resources
from pathlib import Path

import numpy as np
import soundfile
import torch
from demucs.hf import load_safetensors_model

from streamer.audio import Samples
from streamer.files import Source, open_source
from streamer.models.networks.random import write_random_htdemucs

MODELS = ("mini", "full")
RATE = 44100
POLL_SECONDS = 0.02

# What is started here keeps its compiled modules, as it does wherever nobody forbids it.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A process's peak memory is never less than that of the one that started it, and a bench may hold
# much; so this small one starts the command.
STARTER = """
import os, subprocess, sys, time
began = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
process.returncode = os.waitstatus_to_exitcode(status)
seconds = time.perf_counter() - began
print(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
sys.exit(process.returncode != 0)
"""


@dataclass(frozen=True)
class Run:
    """One finished command. ``first_seconds`` is when ``first`` held (None: never asked)."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    first_seconds: float | None


def command(name: str) -> str:
    """Return the path of a command that is installed beside this Python."""
    beside = shutil.which(name, path=str(Path(sys.executable).parent))
    found = beside or shutil.which(name)
    if found is None:
        raise SystemExit(f"the command {name} is not installed here; pip install it first")
    return found


def run_command(
    words: Sequence[str], *, threads: int | None, output: Path | None = None, stem_bytes: int = 0
) -> Run:
    """Run a command to its end and measure it: it and what it starts, as the kernel counts.

    ``first_seconds`` is when a file under ``output`` first held more than ``stem_bytes``.
    """
    environment = dict(os.environ)
    if threads is not None:
        environment |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    began = time.perf_counter()
    starter = [sys.executable, "-I", "-S", "-c", STARTER]
    process = subprocess.Popen(
        [*starter, *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    first = None
    while output is not None and first is None and process.returncode is None:
        if any(file.stat().st_size > stem_bytes for file in output.rglob("*.*") if file.is_file()):
            first = time.perf_counter() - began
        elif os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            break
        else:
            time.sleep(POLL_SECONDS)
    told, complaint = process.communicate()
    if process.returncode:
        raise SystemExit(f"{shlex.join(words)} failed:\n{complaint.decode()}")
    seconds, cpu_seconds, peak = map(float, told.split())
    unit = 2**20 if sys.platform == "darwin" else 2**10  # ru_maxrss: bytes there, KiB elsewhere
    return Run(seconds, cpu_seconds, peak / unit, first)


def take_turns(
    commands: Mapping[str, Sequence[str]], rounds: int, threads: int | None = None
) -> dict[str, list[Run]]:
    """Run each command ``rounds`` times, in an order that turns round every time."""
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for index in range(rounds):
        order = list(commands) if index % 2 == 0 else list(commands)[::-1]
        for name in order:
            runs[name].append(run_command(commands[name], threads=threads))
            told = f"round {index + 1}: {name} {runs[name][-1].seconds:.1f} s"
            print(told, file=sys.stderr, flush=True)
    return runs


def export_model(name: str, repo: Path) -> None:
    """Write a model as `demucs --repo` reads it: ``mini``, the embedded, or ``full``, random."""
    if name == "mini":
        embedded = resources("streamer.models.weights.embedded") / "htdemucs_mini.safetensors"
        with as_file(embedded) as path:
            model = load_safetensors_model(path)
    else:
        with tempfile.TemporaryDirectory() as folder:
            model = load_safetensors_model(write_random_htdemucs(Path(folder)))
    args, kwargs = model._init_args_kwargs
    package = {"klass": type(model), "args": args, "kwargs": kwargs, "state": model.state_dict()}
    repo.mkdir(parents=True, exist_ok=True)
    torch.save(package, repo / f"{name}.th")


def stempeg_song() -> Path:
    """Return the song with true stems that the package stempeg carries."""
    for file in files("stempeg") or []:
        if file.name.endswith(".stem.mp4"):
            return Path(str(file.locate()))
    raise SystemExit("stempeg carries no song; pip install 'stempeg>=0.2.6', or name one")


def loop_song(song: Path, seconds: float, to: Path) -> None:
    """Write a song as a 16 bit WAV file, over and over until it is long enough."""
    with open_source(song) as source:
        soundfile.write(to, looped(source, seconds), source.samplerate, "PCM_16")


def looped(source: Source, seconds: float) -> Samples:
    """Return so much of a source, ``(frames, channels)``, from its start again and again."""
    whole = np.concatenate(list(source.blocks()))
    frames = int(seconds * source.samplerate)
    times = -(-frames // len(whole))
    return np.tile(whole, (times, 1))[:frames]


def write_noise(seconds: float, to: Path) -> None:
    """Write tones in noise as a 16 bit WAV file, without holding it."""
    with soundfile.SoundFile(to, "w", RATE, 2, "PCM_16") as file:
        for block in noise_blocks(int(seconds * RATE)):
            file.write(block)


def noise_blocks(frames: int) -> Iterator[Samples]:
    """Yield tones in noise, ``(frames, 2)`` in all, under full scale."""
    draw = np.random.default_rng(0)
    for start in range(0, frames, RATE):
        time_seconds = np.arange(start, min(start + RATE, frames)) / RATE
        tones = sum(np.sin(2 * np.pi * hertz * time_seconds) for hertz in (110, 440, 3520))
        noise = draw.standard_normal((len(time_seconds), 2)).clip(-4, 4)
        yield (0.1 * tones[:, np.newaxis] + 0.05 * noise).astype(np.float32)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the rows as text in aligned columns, the first to the left."""
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the rows as a table in Markdown, the first column to the left."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))


def introduction(*packages: str) -> str:
    """Return what was run, and where: the command, the machine, the versions."""
    versions = ", ".join(f"{package} {_version(package)}" for package in packages)
    return (
        f"$ python {shlex.join(sys.argv)}\n"
        f"{cpu_name()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, {versions}\n"
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def cpu_name() -> str:
    """Return the processor's name as far as it is told."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def parser(doc: str) -> argparse.ArgumentParser:
    """Return a parser that shows the module's docstring as it stands."""
    return argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
