"""Whatever a file holds: only a StemstreamError, no hang, no crash, and little memory.

    python bench/mutations.py [--files 200000] [--seed 0] [--jobs 2] [--first 0]

Makes a small file of every format that is read, damages copies of them (bytes, truncation, swapped
and repeated pieces, sizes at their limits) and reads each as `separate` does: opened, decoded, read
from the middle, looked at as a stem file. Each file depends on the seed and its number alone, so
``--first N --files 1 --keep FILE`` makes one again. Prints one line for each fault; exits with 1 if
there was one. 200,000 files take about an hour. The ffmpeg command makes the formats.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile

from streamer.errors import StemstreamError
from streamer.files import Encoding, StemMp4Sink, open_source, reference_stems
from streamer.files.encode.file_sink import FileSink

HANG_SECONDS = 10.0
MOST_MB = 600
RATE = 16000
FRAMES = 3000
START_SECONDS = 60.0

KINDS = {
    "a.wav": ("-c:a", "pcm_s16le"),
    "float.wav": ("-c:a", "pcm_f32le"),
    "adpcm.wav": ("-c:a", "adpcm_ima_wav"),
    "s64.wav": ("-c:a", "pcm_s64le"),
    "rf64.wav": ("-rf64", "always"),
    "a.w64": (),
    "a.aiff": (),
    "float.aiff": ("-c:a", "pcm_f32be"),
    "a.caf": (),
    "alac.caf": ("-c:a", "alac"),
    "a.au": (),
    "a.flac": (),
    "a.mp3": (),
    "plain.mp3": ("-write_xing", "0", "-id3v2_version", "0"),
    "a.ogg": ("-c:a", "libvorbis"),
    "flac.ogg": ("-c:a", "flac"),
    "a.opus": (),
    "a.m4a": (),
    "alac.m4a": ("-c:a", "alac"),
    "front.m4a": ("-movflags", "faststart"),
    "pieces.mp4": ("-movflags", "frag_keyframe+empty_moov"),
    "a.aac": (),
    "a.wv": (),
    "a.wma": (),
    "a.mka": ("-c:a", "flac"),
    "a.webm": ("-c:a", "libvorbis"),
    "a.mov": ("-c:a", "pcm_s24le"),
    "a.avi": (),
    "a.ts": (),
    "a.ac3": (),
    "a.tta": (),
}
TAGS = ("-metadata", "title=Für Elise", "-metadata", "artist=A", "-metadata", "track=3/9")
LIMITS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


def main() -> None:
    wish = _arguments()
    if wish.worker:
        work(wish.worker, wish.seed, wish.first, wish.first + wish.files)
        return
    with tempfile.TemporaryDirectory() as folder:
        make_originals(Path(folder))
        if wish.keep:
            wish.keep.write_bytes(mutant(originals(Path(folder)), wish.seed, wish.first)[1])
            return
        share = -(-wish.files // wish.jobs)
        begins = range(wish.first, wish.first + wish.files, share)
        with ThreadPoolExecutor(wish.jobs) as pool:
            ends = [min(begin + share, wish.first + wish.files) for begin in begins]
            runs = pool.map(lambda begin, end: watch(folder, wish.seed, begin, end), begins, ends)
            faults = [fault for run in runs for fault in run]
    print(f"{wish.files} files, {len(faults)} faults")
    for kind, number in Counter(fault.partition(": ")[2] for fault in faults).most_common():
        print(f"{number:6d} {kind}")
    sys.exit(1 if faults else 0)


def make_originals(folder: Path) -> None:
    """Write a small file of every kind."""
    time = np.arange(FRAMES)[:, None] / RATE
    tone = 0.3 * np.sin(2 * np.pi * np.array([220, 330]) * time)
    noise = 0.01 * np.random.default_rng(1).standard_normal(tone.shape)
    audio = (tone + noise).astype(np.float32)
    song = folder / "song.wav"
    soundfile.write(song, audio, RATE)
    made = [word for name, options in KINDS.items() for word in (*TAGS, *options, folder / name)]
    command = ["ffmpeg", "-v", "error", "-y", "-i", song, *made]
    subprocess.run(list(map(str, command)), check=True)
    tags = {"title": "Für Elise", "artist": "A"}
    with FileSink(folder / "tagged.flac", RATE, 2, Encoding("flac"), tags=tags) as sink:
        sink.write(audio)
        sink.commit()
    names = ["drums", "bass", "other", "vocals"]
    with StemMp4Sink(folder / "a.stem.mp4", RATE, 2, names, tags=tags) as stems:
        stems.write(audio, np.stack([audio / 4] * 4))
        stems.commit()


def originals(folder: Path) -> list[tuple[str, bytes]]:
    """The files to damage."""
    return [(path.name, path.read_bytes()) for path in sorted(folder.iterdir()) if path.is_file()]


def mutant(whole: list[tuple[str, bytes]], seed: int, number: int) -> tuple[str, bytes]:
    """Return the name of an original, and a damaged copy of it."""
    draw = np.random.default_rng([seed, number])
    name, data = whole[int(draw.integers(len(whole)))]
    changed = bytearray(data)
    for _ in range(int(draw.integers(1, 4))):
        changed = _damaged(draw, changed, whole)
    return name, bytes(changed)


def _damaged(
    draw: np.random.Generator, data: bytearray, whole: list[tuple[str, bytes]]
) -> bytearray:
    if len(data) < 16:
        return data

    def place() -> int:  # headers are where damage does most
        most = len(data) if draw.random() < 0.4 else min(len(data), 400)
        return int(draw.integers(most))

    def piece() -> tuple[int, int]:
        begin = place()
        return begin, min(len(data), begin + int(2 ** draw.uniform(0, 10)))

    match int(draw.integers(9)):
        case 0:
            for _ in range(int(draw.integers(1, 8))):
                data[place()] = int(draw.integers(256))
        case 1:
            data[place()] ^= 1 << int(draw.integers(8))
        case 2:
            data[place()] = int(draw.choice([0, 0x7F, 0x80, 0xFF]))
        case 3:
            size = int(draw.choice([2, 4, 8]))
            limit = int(draw.choice(LIMITS)) % 256**size
            order = "little" if draw.random() < 0.5 else "big"
            at = place()
            data[at : at + size] = limit.to_bytes(size, order)
        case 4:
            del data[max(16, place()) :]
        case 5:
            (a, b), (c, d) = sorted([piece(), piece()])
            c, d = max(b, c), max(b, d)
            data[a:d] = data[c:d] + data[b:c] + data[a:b]
        case 6:
            a, b = piece()
            data[a:a] = data[a:b] * int(draw.integers(1, 4))
        case 7:
            a, b = piece()
            del data[a:b]
        case _:
            other = whole[int(draw.integers(len(whole)))][1]
            at = place()
            data[:at] = other[:at]
    return data


def read(path: Path) -> None:
    """Read a file as `separate`, `demo` and `eval` do."""
    with open_source(path) as source:
        frames = sum(len(block) for block in source.blocks())
        source.seek(frames // 2)
        next(iter(source.blocks()), None)
        str(source.losses), str(source.tags)
    for stem in (reference_stems(path) or {}).values():
        stem.close()


def work(folder: str, seed: int, first: int, end: int) -> None:
    """Read files, and write each one's number and fate to standard output."""
    whole = originals(Path(folder))
    with tempfile.TemporaryDirectory() as own:
        print("ready", flush=True)
        for number in range(first, end):
            name, data = mutant(whole, seed, number)
            path = Path(own) / name
            path.write_bytes(data)
            _forget_peak()
            fate = "fine"
            try:
                read(path)
            except StemstreamError as error:
                if "\n" in str(error):
                    fate = "several lines"
            except BaseException as error:
                place = traceback.extract_tb(error.__traceback__)[-1]
                fate = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
            if (peak := _peak_mb()) > MOST_MB:
                fate = f"memory {peak // 100 * 100} MB in {name}"
            path.unlink()
            print(f"{number} {name}: {fate}", flush=True)


def watch(folder: str, seed: int, first: int, end: int) -> list[str]:
    """Have a process read files, a new one where it ends; return the faults."""
    faults = []
    while first < end:
        for line in _lines(folder, seed, first, end):
            if not line.endswith(": fine"):
                faults.append(line)
                print(line, flush=True)
            first = int(line.split()[0]) + 1
    return faults


def _lines(folder: str, seed: int, first: int, end: int) -> Iterator[str]:
    command = [sys.executable, __file__, "--worker", folder, "--seed", str(seed)]
    command += ["--first", str(first), "--files", str(end - first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, bufsize=1) as worker:
        assert worker.stdout is not None
        try:
            _next(worker, START_SECONDS)
            while first < end:
                line = _next(worker, HANG_SECONDS)
                if not line:
                    name = mutant(originals(Path(folder)), seed, first)[0]
                    fate = "hang" if worker.wait() == -signal.SIGKILL else "crash"
                    yield f"{first} {name}: {fate} in {name}"
                    return
                first += 1
                yield line.strip()
        finally:
            worker.kill()


def _next(worker: subprocess.Popen[str], seconds: float) -> str:
    """The next line; empty where the process has ended, as it does where none comes in time."""
    assert worker.stdout is not None
    timer = threading.Timer(seconds, worker.kill)
    timer.start()
    try:
        return worker.stdout.readline()
    finally:
        timer.cancel()


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1000


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first file")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="write the first file here, and read none")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
