"""The rules of the real-time file, and its small parts against plain numpy."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest
from live.support.blocks import call, gains_of, play
from numba import njit
from support.doubles import noise

from streamer.live.realtime import callbacks, device_clock, jack_callbacks
from streamer.live.realtime.ports import CapturePort, PlaybackPort
from streamer.pipeline.level import KNEE, soft_clip

MODULES = (callbacks, device_clock, jack_callbacks)
TREES = [ast.parse(Path(module.__file__).read_text()) for module in MODULES]


@pytest.mark.parametrize("tree", TREES, ids=["callbacks", "clock", "jack"])
def test_it_imports_nothing_but_the_ring_and_its_compiler(tree):
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module)
    names -= {f"streamer.live.realtime.{one}" for one in ("callbacks", "device_clock")}
    roots = {name.split(".")[0] for name in names}
    assert roots <= {"__future__", "typing", "llvmlite", "numba", "numpy", "ringbuffer"}


FORBIDDEN_CALLS = {
    *("open", "print", "input", "exec", "eval", "list", "dict", "set", "str", "bytes", "sorted"),
    *("empty", "zeros", "ones", "full", "array", "copy", "concatenate", "append", "astype", "dot"),
    *("Lock", "acquire", "release", "sleep", "wait", "notify", "objmode", "empty_like"),
    *("zeros_like", "repeat", "stack", "cumsum", "linspace", "arange", "roll", "pad", "where"),
}


def functions():
    """The functions that run in a callback: all but those that only compile others."""
    found = [node for tree in TREES for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [node for node in found if node.decorator_list]


def test_every_function_that_runs_in_a_callback_is_compiled_ahead():
    decorators = {ast.unparse(node.decorator_list[0]).split("(")[0] for node in functions()}
    assert decorators == {"compiled", "c_function"}
    assert not [node for tree in TREES for node in tree.body if isinstance(node, ast.ClassDef)]


@pytest.mark.parametrize("function", functions(), ids=lambda node: node.name)
def test_no_function_allocates_locks_writes_or_raises(function):
    never = (ast.Raise, ast.Try, ast.With, ast.Yield, ast.ListComp, ast.DictComp, ast.SetComp)
    never = (*never, ast.List, ast.Dict, ast.Set, ast.JoinedStr, ast.Lambda, ast.Global, ast.Import)
    for statement in function.body:
        for node in ast.walk(statement):
            assert not isinstance(node, never), ast.unparse(node)
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func).split(".")[-1]
                assert name not in FORBIDDEN_CALLS, ast.unparse(node)


@pytest.mark.parametrize(
    "function",
    [callbacks.capture, callbacks.playback, jack_callbacks.process],
    ids=["capture", "playback", "process"],
)
def test_the_compiled_code_neither_allocates_nor_touches_python(function):
    if not function.signatures:  # its callers were kept on disk, and have it inside
        function.compile(())
    (signature,) = function.signatures
    again = njit(signature, error_model="numpy", nogil=True, _nrt=False)(function.py_func)
    code = again.inspect_llvm(signature)
    parts = re.split(r"^define ", code, flags=re.MULTILINE)[1:]
    # Without the wrappers for Python and for an exception on its way to Python: no device's call
    # ends in one, as none of ours raises.
    native = [part for part in parts if not re.match(r"[^(\n]*@(_ZN7cpython|cfunc\.)", part)]
    called = {call for part in native for call in re.findall(r"call [^@\n]*@\"?([\w.$]+)", part)}
    expected = {"clock_gettime"} if function is not jack_callbacks.process else {"_play"}
    assert all(any(name in call for call in called) for name in expected)
    banned = r"NRT_(Alloc|MemInfo_(alloc|new|varsize))|Py|malloc|free$|printf|pthread|numba_gil"
    assert not [call for call in called if re.match(banned, call)]


def test_the_soft_clip_is_the_one_of_files():
    samples = np.concatenate([noise(5000) * 3, np.linspace(-2, 2, 4002, dtype="f4").reshape(-1, 2)])
    port = PlaybackPort(0, 2, 48000, 0, capacity_frames=8192)
    port.set_gains(*gains_of(port, mix_l=[1, 0], mix_r=[0, 1]))
    CapturePort(2, 48000, [port], capacity_frames=8192).feed(samples)
    played = play(port, len(samples) - 300)
    expected = soft_clip(samples)[: len(played)]
    below = np.abs(samples[: len(played)]) <= KNEE
    assert np.array_equal(played[below], expected[below])
    assert np.abs(played - expected).max() <= 1.2e-7
    assert below.mean() < 0.9


@pytest.mark.parametrize("gain", [1, 4, 16])
def test_whatever_the_gain_the_end_fades_out_in_time(gain):
    port = PlaybackPort(0, 2, 48000, 64, capacity_frames=8192)
    port.set_gains(*gains_of(port, mix_l=[gain, 0], mix_r=[0, gain]))
    capture = CapturePort(2, 48000, [port], capacity_frames=8192)
    capture.feed(np.full((4000, 2), 0.03, "f4"))
    assert play(port, 2000)[-1, 0] == pytest.approx(0.03 * gain, rel=0.01)
    port.mute()
    played = play(port, callbacks.FADE_FRAMES + 64)[:, 0]
    assert np.abs(np.diff(played)).max() < 0.03 * gain * 4 / callbacks.FADE_FRAMES
    assert not played[callbacks.FADE_FRAMES :].any()


def test_no_numbers_are_silence():
    port = PlaybackPort(1, 1, 48000, 300, capacity_frames=2048)
    capture = CapturePort(1, 48000, [port], capacity_frames=2048)
    recorded = np.full((800, 1), 0.25, np.float32)
    # what is far beyond all sound would keep the level down for minutes
    recorded[10:15, 0] = np.nan, np.inf, 1e-40, 101.0, -1e20
    call(capture, recorded=recorded)
    assert capture.counters().bad_samples == 4
    block = np.empty((800, 2), np.float32)
    assert capture.ring.read(block) == 800
    assert np.array_equal(block[10:15], np.zeros((5, 2)))
    stems = np.ones((800, 3), np.float32)
    stems[20] = np.nan, 0.5, 1.0
    port.stem_ring.write(stems)
    port.set_gains(*gains_of(port, stem0_l=[0.5]))
    played = play(port, 600)
    assert played[300 + 20] == 0.0
    assert played[300 + 21] == 0.5
    assert port.counters().bad_samples == 1
