"""Recording: in step with the stream, killed or on a full disk still valid, never in the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile

from streamer.audio import Samples
from streamer.errors import SettingsError, SinkError
from streamer.files.quantise import SampleFormat
from streamer.live.recording.recorder import RING_SECONDS, Recorder, RecorderStatus
from streamer.live.recording.take import Take

Decode = Callable[..., Samples]
Endless = tuple[Callable[[Path], int], Callable[[int], None]]
RATE = 8000
NAMES = ["drums", "vocals"]
FLOAT = {"sample_format": "float32", "flush_seconds": 0.005}

# For each folder on its standard input: records there in three formats at once until it is killed,
# in a process that is forked, so that only the first waits for the imports.
ENDLESS = """
import os, sys, threading, pathlib, test_recorder as test
from streamer.live.recording.recorder import Recorder

def record(folder):
    recorders = [
        Recorder(folder / form, test.NAMES, test.RATE, channels, sample_format=form,
                 flush_seconds=0.003, riff_limit=test.RIFF_LIMIT)
        for form, channels in test.KINDS.items()
    ]
    pause = threading.Event()
    for start in range(0, 2_000_000, 777):
        for recorder, channels in zip(recorders, test.KINDS.values()):
            recorder.write(start, test.ramp(start, 777, channels))
        pause.wait(0.001)

for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        record(pathlib.Path(line.rstrip("\\n")))
        os._exit(0)
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
KINDS = {"int16": 1, "int24": 1, "float32": 2}
RIFF_LIMIT = 80_000

# Records until the system takes no more, and then goes on giving.
LIMITED = """
import resource, sys, threading, pathlib, test_recorder as test
from streamer.live.recording.recorder import Recorder
resource.setrlimit(resource.RLIMIT_FSIZE, (70_001, 70_001))
recorder = Recorder(pathlib.Path(sys.argv[1]), test.NAMES, test.RATE, 1, flush_seconds=0.003)
test.feed_until_it_fails(recorder, channels=1)
recorder.close()
print(recorder.status().failure)
"""


def ramp(start_frame: int, frames: int, channels: int = 2) -> Samples:
    """Stems whose every sample tells its frame, stem and channel; all fit 16 bits."""
    count = np.arange(start_frame, start_frame + frames)[None, :, None] * 8
    count = count + np.arange(len(NAMES))[:, None, None] * 4 + np.arange(channels)
    return (count % 60_000 - 30_000).astype(np.float32) / 32768


def until(done: Callable[[], bool], seconds: float = 60.0) -> None:
    """Look again and again until it is so."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.001)


def feed_until_it_fails(recorder: Recorder, channels: int = 2) -> int:
    """Return the frames given, one block of them after the failure."""
    given = 0
    for start in range(0, 10_000_000, 500):
        failed = bool(recorder.status().failure)
        recorder.write(start, ramp(start, 500, channels))
        given += 500
        if failed:
            return given
        time.sleep(0.001)
    raise AssertionError("it did not fail")


def recorded(recorder: Recorder) -> Samples:
    """All stems of a take, ``(stems, frames, channels)``."""
    return read(recorder.status().folder)


def read(take: Path) -> Samples:
    """The same of a folder; the frames that all its stems have."""
    paths = [take / f"{name}.wav" for name in NAMES]
    stems = [soundfile.read(path, dtype="float32", always_2d=True)[0] for path in paths]
    return np.stack([stem[: min(map(len, stems))] for stem in stems])


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Callable[..., Recorder]]:
    """Make a recorder that is closed at the end."""
    made: list[Recorder] = []

    def make(folder: Path | None = None, **options: object) -> Recorder:
        options = {"channels": 2, **FLOAT, **options}
        made.append(Recorder(folder or tmp_path / "rec", NAMES, RATE, **options))
        return made[-1]

    yield make
    for recorder in made:
        recorder.close()


@pytest.fixture(scope="module")
def endless() -> Iterator[Endless]:
    """Two functions: record into a folder in a process of its own without end, and kill that."""
    with started(ENDLESS) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def start(folder: Path) -> int:
            print(folder, file=process.stdin, flush=True)
            return int(process.stdout.readline())

        def kill(pid: int) -> None:
            os.kill(pid, signal.SIGKILL)
            assert int(process.stdout.readline()) == -signal.SIGKILL

        yield start, kill


@contextmanager
def started(program: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run a Python program that can import this module; it and its children end here."""
    program = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n{program}"
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        text=True,
        start_new_session=True,
        **pipes,
    ) as process:
        yield process
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def test_what_is_written_is_in_the_files(record: Callable[..., Recorder]) -> None:
    recorder = record()
    start = 0
    for frames in (1, 0, 512, 20_000, 3):
        recorder.write(start, ramp(start, frames))
        start += frames
    recorder.close()
    recorder.close()
    np.testing.assert_array_equal(recorded(recorder), ramp(0, start))
    status = recorder.status()
    assert (status.recorded_frames, status.dropped_frames, status.silent_frames) == (start, 0, 0)
    assert sorted(path.name for path in status.folder.iterdir()) == ["drums.wav", "vocals.wav"]
    recorder.write(start, ramp(start, 7))
    assert recorder.status().dropped_frames == 7


def test_closed_without_waiting_it_is_finished_all_the_same(
    record: Callable[..., Recorder],
) -> None:
    recorder = record(flush_seconds=4.0)
    recorder.write(0, ramp(0, 60_000))
    recorder.close(timeout_seconds=0)
    recorder.close()
    np.testing.assert_array_equal(recorded(recorder), ramp(0, 60_000))


def test_it_gets_there_without_more_writes(record: Callable[..., Recorder]) -> None:
    recorder = record(sample_format="int24", channels=1)
    for end in (5, 12_000):
        start = recorder.status().recorded_frames
        recorder.write(start, ramp(start, end - start, 1))
        until(lambda end=end: recorder.status().recorded_frames == end)
        np.testing.assert_allclose(recorded(recorder), ramp(0, end, 1), atol=2**-22)
        with wave.open(str(recorder.status().folder / "drums.wav")) as file:
            assert file.getnframes() == end


def test_gaps_are_silence_in_place(record: Callable[..., Recorder]) -> None:
    recorder = record(start_frame=100)
    recorder.write(130, ramp(130, 50))
    recorder.write(1000, ramp(1000, 200))
    recorder.write(1150, ramp(1150, 100))  # half of it is there already
    recorder.write(1100, ramp(1100, 20))
    recorder.close()
    expected = ramp(100, 1150)
    expected[:, :30] = 0
    expected[:, 80:900] = 0
    np.testing.assert_array_equal(recorded(recorder), expected)
    status = recorder.status()
    assert (status.silent_frames, status.dropped_frames) == (850, 70)
    assert status.recorded_frames == 1150


def test_what_does_not_fit_is_dropped_and_the_rest_stays_in_step(
    record: Callable[..., Recorder],
) -> None:
    recorder = record()
    room = RING_SECONDS * RATE
    recorder.write(0, ramp(0, room + 5000))
    until(lambda: recorder.status().recorded_frames == room)
    recorder.write(room + 5000, ramp(room + 5000, 300))
    recorder.close()
    expected = ramp(0, room + 5300)
    expected[:, room : room + 5000] = 0
    np.testing.assert_array_equal(recorded(recorder), expected)
    status = recorder.status()
    assert (status.dropped_frames, status.silent_frames) == (5000, 5000)
    assert status.text.endswith(", 5,000 frames dropped")


def test_the_rings_wrap_with_gaps(record: Callable[..., Recorder]) -> None:
    recorder = record()
    draw = np.random.default_rng(3)
    expected = ramp(0, 200_000)
    position = 0
    while position < 180_000:
        gap, frames = draw.integers(0, 900), draw.integers(1, 6000)
        expected[:, position : position + gap] = 0
        position += gap
        recorder.write(position, ramp(position, frames))
        position += frames
        until(lambda end=position: recorder.status().recorded_frames > end - 40_000)
    recorder.close()
    np.testing.assert_array_equal(recorded(recorder), expected[:, :position])
    assert recorder.status().dropped_frames == 0


def test_takes_are_numbered_and_never_replaced(
    record: Callable[..., Recorder], tmp_path: Path
) -> None:
    (tmp_path / "rec/take-007").mkdir(parents=True)
    (tmp_path / "rec/take-007/drums.wav").write_text("mine")
    (tmp_path / "rec/take-009").write_text("mine")
    (tmp_path / "rec/take-x").write_text("mine")
    folders = [record().status().folder.name for _ in range(3)]
    assert folders == ["take-010", "take-011", "take-012"]
    assert (tmp_path / "rec/take-007/drums.wav").read_text() == "mine"
    assert {path.name for path in (tmp_path / "rec").iterdir()} == {
        *("take-007", "take-009", "take-x"),
        *folders,
    }


def test_rf64_while_it_grows(record: Callable[..., Recorder], decode: Decode) -> None:
    recorder = record(riff_limit=30_000)
    path = recorder.status().folder / "drums.wav"
    heads = []
    for end in range(1500, 7501, 1500):
        recorder.write(end - 1500, ramp(end - 1500, 1500))
        until(lambda end=end: recorder.status().recorded_frames == end)
        heads.append(path.read_bytes()[:4])
        np.testing.assert_array_equal(decode(path), ramp(0, end)[0])
    assert heads == [b"RIFF"] * 2 + [b"RF64"] * 3


def stated_frames(path: Path) -> int:
    try:
        return int(soundfile.info(path).frames)
    except soundfile.LibsndfileError:
        return -1


# As soon as there is a take, early, just before and after RF64, and long after.
@pytest.mark.parametrize("moment_frames", [0, 2_000, 9_000, 10_000, 60_000])
def test_killed_at_any_moment(
    tmp_path: Path, endless: Endless, decode: Decode, moment_frames: int
) -> None:
    start, kill = endless
    run = start(tmp_path)
    last = tmp_path / "float32/take-001/vocals.wav"
    until(lambda: stated_frames(last) >= moment_frames)
    seen = stated_frames(last)
    kill(run)
    for form, channels in KINDS.items():
        for stem, name in enumerate(NAMES):
            path = tmp_path / form / "take-001" / f"{name}.wav"
            got = soundfile.read(path, dtype="float32", always_2d=True)[0]
            expected = ramp(0, len(got), channels)[stem]
            np.testing.assert_allclose(got, expected, atol=0 if form == "float32" else 2**-14)
            head = path.read_bytes()[:4]
            data_bytes = len(got) * channels * int(form.lstrip("intfloa")) // 8
            header_bytes = 94 if form == "float32" else 80
            assert (head == b"RF64") == (header_bytes + data_bytes + data_bytes % 2 > RIFF_LIMIT)
            if head == b"RIFF" and form != "float32":
                with wave.open(str(path)) as file:
                    assert len(file.readframes(10**9)) == data_bytes
        by_ffmpeg = decode(path, channels)[: len(got)]
        np.testing.assert_allclose(by_ffmpeg, got, atol=2**-24)
    assert len(read(last.parent)[0]) >= seen


def test_a_power_cut_leaves_files_that_open(
    record: Callable[..., Recorder], decode: Decode
) -> None:
    # The header may have reached the disk ahead of the samples that it counts.
    recorder = record(sample_format="int24")
    recorder.write(0, ramp(0, 6000))
    recorder.close()
    for path in recorder.status().folder.iterdir():
        with path.open("r+b") as file:
            file.truncate(20_001)
    whole = (20_001 - 80) // 6
    np.testing.assert_allclose(recorded(recorder), ramp(0, whole), atol=2**-22)
    assert len(decode(path)) == whole
    with wave.open(str(path)) as file:
        assert len(file.readframes(6000)) >= whole * 6


@pytest.mark.parametrize("channels", [1, 2])
def test_a_full_disk_ends_the_recording_alone(
    record: Callable[..., Recorder], small_disk: Path, decode: Decode, channels: int
) -> None:
    recorder = record(small_disk / "rec", channels=channels, sample_format="int24")
    assert 0 < recorder.status().left_seconds < 256 * 1024 / RATE / 2 / 3
    given = feed_until_it_fails(recorder, channels)
    recorder.close()
    status = recorder.status()
    assert status.failure == (
        f"{status.folder} cannot be written: the disk is full; free some space or write to another "
        "folder"
    )
    assert status.text.startswith("recording stopped after 0:00:0")
    got = recorded(recorder)
    assert status.recorded_frames <= got.shape[1] <= given - 500
    assert status.dropped_frames >= 500
    np.testing.assert_allclose(got, ramp(0, got.shape[1], channels), atol=2**-22)
    # No byte is wasted on a frame that was cut short.
    for name in NAMES:
        path = status.folder / f"{name}.wav"
        frames = stated_frames(path)
        assert path.stat().st_size == 80 + (frames * 3 * channels + 1) // 2 * 2
        assert len(decode(path, channels)) == frames


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("sample_format", ["int16", "int24", "float32"])
@pytest.mark.parametrize("block_frames", [100, 3001])
def test_with_a_full_disk_all_stems_end_at_the_same_frame(
    small_disk: Path, channels: int, sample_format: SampleFormat, block_frames: int
) -> None:
    take = Take(small_disk, NAMES, RATE, channels, sample_format=sample_format)
    block = np.full((block_frames, channels * len(NAMES)), 0.5, "f4")

    def fill_the_disk() -> None:
        while True:
            take.append(block)

    with pytest.raises(OSError, match="No space left"):
        fill_the_disk()
    take.close()
    lengths = {stated_frames(take.folder / f"{name}.wav") for name in NAMES}
    assert lengths == {take.frames}
    assert take.frames > 256 * 1024 // (4 * channels * len(NAMES)) - block_frames - 1024


def test_a_limit_on_files_ends_the_recording_alone(
    tmp_path: Path,
) -> None:
    with started(LIMITED, tmp_path) as process:
        out, err = process.communicate(timeout=60)
    take = tmp_path / "take-001"
    text = f"{take} cannot be written: the disk takes no file that large; write to another disk\n"
    assert (out, err) == (text, "")
    # The first stem met the limit, and ends where the second does.
    lengths = {stated_frames(take / f"{name}.wav") for name in NAMES}
    assert len(lengths) == 1
    assert (70_001 - 80) // 3 - 1024 < lengths.pop() < (70_001 - 80) // 3
    got = read(take)
    np.testing.assert_allclose(got, ramp(0, got.shape[1], 1), atol=2**-22)
    assert got.shape[1] > 0


def test_a_take_can_be_renamed_while_it_is_recorded(record: Callable[..., Recorder]) -> None:
    recorder = record()
    recorder.write(0, ramp(0, 100))
    take = recorder.status().folder
    take.rename(take.with_name("wedding"))
    recorder.write(100, ramp(100, 50))
    recorder.close()
    assert recorder.status().failure == ""
    np.testing.assert_array_equal(read(take.with_name("wedding")), ramp(0, 150))


def test_a_wrong_shape_ends_the_recording_and_nothing_else(
    record: Callable[..., Recorder],
) -> None:
    recorder = record()
    recorder.write(0, ramp(0, 100))
    recorder.write(100, ramp(100, 100, 1))
    recorder.write(200, ramp(200, 100))
    recorder.close()
    assert "(2, 100, 1)" in recorder.status().failure
    assert recorder.status().dropped_frames == 200


def test_bad_places_and_names(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match="a file stands where its folder should be"):
        Recorder(tmp_path / "file", NAMES, RATE, 2)
    for names in ([], ["a/b"], ["a", "a"], [""], ["a", "b" * 300]):
        with pytest.raises(SettingsError, match=r"^names="):
            Recorder(tmp_path / "rec", names, RATE, 2)
    for wrong in ({"sample_format": "int8"}, {"flush_seconds": 0.0}, {"flush_seconds": 5.0}):
        with pytest.raises(SettingsError, match="^" + next(iter(wrong))):
            Recorder(tmp_path / "rec", NAMES, RATE, 2, **wrong)
    assert not (tmp_path / "rec").exists()


def test_the_line_for_a_status_screen() -> None:
    status = RecorderStatus(Path("x/take-003"), 48000, 48000 * 3725, 0, 0, 7384.9, "")
    assert status.text == "take-003 1:02:05, 2:03:04 left"
