"""Live pass-through while a thread hogs the interpreter: native callbacks and Python callbacks.

`python bench/callbacks.py [SECONDS]` starts a PulseAudio of its own with null sinks (no sound card
is needed) and plays a counting signal into one. Its monitor is recorded and played on, 60 seconds
long, through the native callbacks, and then through the same path with callbacks in Python.
Meanwhile a thread calls a C function that keeps the GIL for long stretches, as model code and
garbage collection do. What comes out is recorded by another program, and the count tells every
frame that is missing or repeated.

Needs: apt install pulseaudio libasound2-plugins libportaudio2.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from ringbuffer import Ring
from streamer.live.realtime.ports import CapturePort, PlaybackPort

RATE = 48000
BLOCK_FRAMES = 512
SETTLE_SECONDS = 3
DELAY_FRAMES = 9600
LATENCY_SECONDS = 0.1
OPTIONS = {"blocksize": BLOCK_FRAMES, "channels": 2, "latency": LATENCY_SECONDS}
NICENESS = -11  # PulseAudio's own
CYCLE_FRAMES = 32768
SCALE = 0.8 / CYCLE_FRAMES
SINKS = ("source", "heard")


@contextlib.contextmanager
def pulseaudio(folder):
    """A server with the null sinks, and this process's PortAudio and programs directed to it."""
    socket = folder / "socket"
    names = ("XDG_RUNTIME_DIR", "PULSE_RUNTIME_PATH", "PULSE_STATE_PATH", "PULSE_CONFIG_PATH")
    os.environ.update(dict.fromkeys(names, str(folder)))
    os.environ["PULSE_SERVER"] = f"unix:{socket}"
    os.environ["ALSA_CONFIG_PATH"] = str(folder / "asound.conf")
    devices = {"monitor": "source.monitor", "sink": "heard"}
    lines = [
        f'pcm.to_{name} {{ type pulse server "unix:{socket}" device "{device}" }}\n'
        for name, device in devices.items()
    ]
    # PortAudio 19.6 aborts where there is no default.
    (folder / "asound.conf").write_text("pcm.default { type null }\n" + "".join(lines))
    sink = f"--load=module-null-sink norewinds=1 rate={RATE} format=float32le channels=2 sink_name="
    command = [
        *("pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1"),
        f"--load=module-native-protocol-unix auth-anonymous=1 socket={socket}",
        *(sink + name for name in SINKS),
    ]
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command, stderr=log, start_new_session=True)
    try:
        while subprocess.run(["pactl", "info"], capture_output=True).returncode:
            if server.poll() is not None:
                sys.exit("pulseaudio ended: " + (folder / "server.log").read_text())
            time.sleep(0.05)
        yield
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


@contextlib.contextmanager
def programs(folder, seconds):
    """Play the count into the source, and record what is heard."""
    frames = np.arange(int(seconds * RATE)) % CYCLE_FRAMES
    count = np.repeat((frames * SCALE).astype(np.float32)[:, None], 2, axis=1)
    (folder / "count").write_bytes(count.tobytes())
    layout = ["--raw", "--format=float32le", f"--rate={RATE}", "--channels=2"]
    with contextlib.ExitStack() as files:
        count_file = files.enter_context((folder / "count").open("rb"))
        running = [subprocess.Popen(["pacat", "--device=source", *layout], stdin=count_file)]
        out = files.enter_context((folder / "heard").open("wb"))
        running.append(subprocess.Popen(["parec", "--device=heard.monitor", *layout], stdout=out))
        try:
            yield
        finally:
            for program in running:
                program.terminate()
                program.wait()


class PythonPath:
    """Input, ring and output with callbacks in Python."""

    def __init__(self):
        self.ring = Ring(1 << 16, 2)
        self.ring.write(np.zeros((DELAY_FRAMES, 2), np.float32))
        self.spent_seconds = []
        self.xruns = 0

    def streams(self, sounddevice):
        """Both, not yet started."""
        return [
            sounddevice.InputStream(RATE, device="to_monitor", callback=self._record, **OPTIONS),
            sounddevice.OutputStream(RATE, device="to_sink", callback=self._play, **OPTIONS),
        ]

    def _record(self, block, _frames, _times, flags):
        began = time.perf_counter()
        self.xruns += bool(flags)
        self.ring.write(block)
        self.spent_seconds.append(time.perf_counter() - began)

    def _play(self, block, frames, _times, flags):
        began = time.perf_counter()
        got = self.ring.read(block)
        block[got:] = 0
        self.xruns += bool(flags) or got < frames
        self.spent_seconds.append(time.perf_counter() - began)

    def take(self):
        """Seconds spent in each callback, and xruns, since the last call."""
        taken = self.spent_seconds, self.xruns
        self.spent_seconds, self.xruns = [], 0
        return taken


class NativePath:
    """The same with the native callbacks."""

    def __init__(self):
        gains = np.eye(2, dtype=np.float32)
        self.playback = PlaybackPort(0, 2, RATE, DELAY_FRAMES, capacity_frames=1 << 16)
        self.playback.set_gains(gains, np.zeros((2, 2), np.float32))
        self.capture = CapturePort(2, RATE, [self.playback], capacity_frames=1 << 16)
        self.reported = 0

    def streams(self, sounddevice):
        """Both, not yet started."""
        return [
            self._stream(sounddevice, self.capture, "input", "to_monitor"),
            self._stream(sounddevice, self.playback, "output", "to_sink"),
        ]

    def _stream(self, sounddevice, port, kind, device):
        ffi = sounddevice._ffi
        return sounddevice._StreamBase(
            kind,
            RATE,
            device=device,
            dtype="float32",
            callback=ffi.cast("void *", port.callback_address),
            userdata=ffi.cast("void *", port.address),
            wrap_callback=None,
            **OPTIONS,
        )

    def take(self):
        """Seconds spent in each callback, and xruns, since the last call."""
        heard, played = self.capture.counters(), self.playback.counters()
        xruns = heard.overflow_flags + played.underflow_flags
        xruns += -(-played.dry_missing_frames // BLOCK_FRAMES)
        xruns, self.reported = xruns - self.reported, xruns
        logs = [self.capture.log(), self.playback.log()]
        return np.concatenate(logs)["duration_seconds"], xruns


@contextlib.contextmanager
def before_others():
    """Have threads that are started meanwhile run before others, where the system grants it.

    A niceness, as a FIFO thread that spins in ALSA's plugin would keep PulseAudio from answering
    it. Linux has one for each thread, and a new thread takes its maker's.
    """
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    granted = True
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    except OSError:
        granted = False
    try:
        yield granted
    finally:
        if granted:
            os.setpriority(os.PRIO_PROCESS, 0, usual)


def hog(stop, held_seconds):
    """Keep the GIL, in one C call after another; each holds it from start to end."""
    while not stop.is_set():
        began = time.perf_counter()
        sum(range(5_000_000))
        held_seconds.append(time.perf_counter() - began)


def broken(file, played_seconds):
    """Breaks in the count, frames that are missing or silent, and frames looked at."""
    samples = np.frombuffer(file.read_bytes(), np.float32).reshape(-1, 2)[:, 0]
    count = np.rint(samples / SCALE).astype(int)
    heard = np.flatnonzero(count)
    begin = heard[0] + SETTLE_SECONDS * RATE if len(heard) else len(count)
    count = count[begin : begin + int(played_seconds * RATE)]
    steps = np.diff(count)
    breaks = (steps != 1) & (steps != 1 - CYCLE_FRAMES) & (count[1:] + count[:-1] > 0)
    return (
        int(breaks.sum()),
        int((count == 0).sum() - (steps == 1 - CYCLE_FRAMES).sum()),
        len(count),
    )


def start(stream, error):
    """Start a stream; again where PortAudio's second of patience was too short for this machine."""
    for _attempt in range(3):
        with contextlib.suppress(error):
            stream.start()
            return
    stream.start()


def run(name, path, folder, seconds):
    """Pass the count through a path for so long, and print how that went."""
    import sounddevice

    held_seconds, stop = [], threading.Event()
    thread = threading.Thread(target=hog, args=(stop, held_seconds))
    with programs(folder, seconds + 3 * SETTLE_SECONDS):
        with before_others() as granted:
            streams = path.streams(sounddevice)
            for stream in streams:
                start(stream, sounddevice.PortAudioError)
        time.sleep(SETTLE_SECONDS)
        path.take()
        thread.start()
        time.sleep(seconds)
        spent_seconds, xruns = path.take()
        stop.set()
        thread.join()
        time.sleep(1)
        for stream in streams:
            stream.close()
    breaks, silent, frames = broken(folder / "heard", seconds)
    p50, p99 = np.percentile(spent_seconds, [50, 99]) * 1e3
    held = np.percentile(held_seconds, [50, 100]) * 1e3
    print(
        f"{name:6s}  {len(spent_seconds):6d}  {p50:6.4f} {p99:8.4f} {max(spent_seconds) * 1e3:8.4f}"
        f"  {xruns:5d}  {breaks:6d}  {silent:8d} of {frames}  {held[0]:4.0f} {held[1]:5.0f}"
        f"{'' if granted else '  (without priority over others)'}"
    )


def main(seconds):
    missing = [name for name in ("pulseaudio", "pacat", "parec", "pactl") if not shutil.which(name)]
    if missing:
        sys.exit(f"{', '.join(missing)} not found; apt install pulseaudio libasound2-plugins")
    with tempfile.TemporaryDirectory() as name, pulseaudio(Path(name)):
        print(f"{seconds:g} s each, blocks of {BLOCK_FRAMES / RATE * 1e3:.2f} ms")
        print("        blocks  ms in a callback: p50, p99, max                            GIL held")
        print("path    (both)     p50      p99      max  xruns  breaks  silent frames     ms   max")
        run("native", NativePath(), Path(name), seconds)
        run("python", PythonPath(), Path(name), seconds)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the server ends too
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0)
