"""Two devices with two clocks: how steady the delay is, how clean the sound, and what it costs.

`python bench/drift.py [HOURS]` runs the real callbacks on virtual time, two runs side by side (one
CPU each) of half the hours (10) at +300 and -300 ppm, each callback up to 1 ms late. Then it
compares the filter in the playback callback with python-soxr's variable-rate resampler, the other
place for it (ahead of the rings, in Python): pilots through both while the ratio moves.

- lock: the second from which on the delay is within half a block and the ratio within 5 ppm;
- error: the largest distance from the constant delay after that, in frames; ring: the frames in the
  ring when the output's callback begins (it swings by a block, as both devices take whole blocks);
- ripple: the largest distance of the ratio from the clocks' true one, after a minute;
- THD+N: what is left of a pilot without the best sine (85 ms), and against the reported positions.
"""

import sys
import threading
import time

import numpy as np

from streamer.live.realtime.ports import CapturePort, PlaybackPort
from streamer.testing.two_clocks import VirtualClock, run_two_clocks

RATE = 48000
BLOCK_FRAMES = 512
DELAY_FRAMES = 4800
JITTER_SECONDS = 1e-3
PILOTS = (997, 5003, 10007, 15013, 18013)


def run(ppm, seconds, **more):
    playback = PlaybackPort(0, 1, RATE, DELAY_FRAMES, capacity_frames=1 << 15, drift=True)
    gains = np.zeros((2, 1), np.float32)
    gains[0] = 1
    playback.set_gains(gains, np.zeros((2, 1), np.float32))
    capture = CapturePort(1, RATE, [playback], capacity_frames=1024)
    clocks = (
        VirtualClock(ppm, BLOCK_FRAMES, JITTER_SECONDS),
        VirtualClock(0, BLOCK_FRAMES, JITTER_SECONDS),
    )
    return run_two_clocks((capture, playback), clocks, seconds, **more)


def in_db(error, signal):
    return 10 * np.log10(np.square(error).mean() / np.square(signal).mean())


def without_sine(samples, hertz):
    """The samples less the sine that fits best, its frequency fitted too."""
    frame, turn = np.arange(len(samples)), 2 * np.pi * hertz / RATE
    for _ in range(6):
        cos, sin = np.cos(turn * frame), np.sin(turn * frame)
        base = np.stack([cos, sin, frame * cos, frame * sin], axis=1)
        a, b, at_cos, at_sin = np.linalg.lstsq(base, samples, rcond=None)[0]
        turn += (b * at_cos - a * at_sin) / (a * a + b * b)
    base = np.stack([np.cos(turn * frame), np.sin(turn * frame), np.ones(len(frame))], axis=1)
    return samples - base @ np.linalg.lstsq(base, samples, rcond=None)[0]


def off_frames(samples, positions, hertz):
    """How far the samples of a pilot lie from where they are said to lie."""
    turn = 2 * np.pi * hertz / RATE
    slope = 0.5 * turn * np.cos(turn * positions)
    return np.dot(samples - 0.5 * np.sin(turn * positions), slope) / np.dot(slope, slope)


def hours_of(hours):
    seconds = hours * 3600 / 2
    results = {}
    threads = [
        threading.Thread(target=lambda ppm=ppm: results.update({ppm: run(ppm, seconds)}))
        for ppm in (300, -300)
    ]
    started, cpu_started = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    print(f"{hours:g} simulated hours in {wall:.0f} s, {cpu:.0f} s of CPU")
    print("   ppm  xruns  splices  lock s  error  ring        ripple ppm  mean ppm")
    for ppm, result in sorted(results.items()):
        counters = result.counters
        xruns = counters.shortfalls + counters.missing_frames + counters.dry_missing_frames
        bad = (result.error_frames > BLOCK_FRAMES / 2) | (np.abs(result.mean_ppm - ppm) > 5)
        lock = int(np.flatnonzero(bad).max(initial=-1)) + 1
        print(
            f"  {ppm:+4d}  {xruns:5d}  {counters.splices:7d}  {lock:6d}"
            f"  {result.error_frames[lock:].max():5.1f}"
            f"  {result.lowest[lock:].min():.0f}..{result.highest[lock:].max():.0f}"
            f"  {result.ripple_ppm[60:].max():10.2f}  {result.mean_ppm[60:].mean():+8.3f}"
        )


def pilots_here():
    print("in the callback: THD+N, and against reported positions; reported position off by frames")
    for hertz in PILOTS:
        result = run(300, 65, pilot_hertz=hertz, windows=(1.0, 63.0))
        for name, samples, positions in zip(
            ("moving", "calm"), result.recorded.astype(float), result.positions, strict=True
        ):
            expected = 0.5 * np.sin(2 * np.pi * hertz / RATE * positions)
            # While the ratio moves the pilot is no sine, and only its positions can judge it.
            rest = in_db(without_sine(samples[:4096], hertz), expected) if name == "calm" else 0
            print(
                f"  {hertz:6d} Hz, ratio {name:6s}  {f'{rest:7.1f} dB' if rest else ' ' * 10}"
                f"  {in_db(samples - expected, expected):7.1f} dB"
                f"  {off_frames(samples, positions, hertz):+.1e}"
            )


def pilots_soxr():
    """The same ratios through python-soxr, block by block, as the engine's thread would."""
    try:
        import soxr
    except ImportError:
        print("python-soxr is left out: pip install soxr")
        return
    print("python-soxr, vr=True: THD+N with a still ratio and one that slews; delay(); ns a frame")
    for hertz in PILOTS:
        pilot = (0.5 * np.sin(2 * np.pi * hertz * np.arange(6 * RATE) / RATE)).astype(np.float32)
        row = []
        for slews in (False, True):
            stream = soxr.ResampleStream(1.01 * RATE, RATE, 1, "float32", "HQ", vr=True)
            stream.set_io_ratio(1.0003, 1.0, 0)
            out, spent = [], 0.0
            for number, start in enumerate(range(0, len(pilot), BLOCK_FRAMES)):
                if slews:
                    change = 5e-6 * (-1) ** (number // 20)
                    stream.set_io_ratio(1.0003 + change, 1.0, BLOCK_FRAMES)
                began = time.perf_counter()
                out.append(stream.resample_chunk(pilot[start : start + BLOCK_FRAMES]))
                spent += time.perf_counter() - began
            samples = np.concatenate(out).astype(float)[2 * RATE :][:4096]
            row.append(in_db(without_sine(samples, hertz), samples))
        print(
            f"  {hertz:6d} Hz  {row[0]:7.1f} dB  {row[1]:7.1f} dB"
            f"  {stream.delay():.1f}  {spent / len(pilot) * 1e9:.0f}"
        )


if __name__ == "__main__":
    run(0, 1.0)  # what compiles, compiles now
    hours_of(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0)
    pilots_here()
    pilots_soxr()
