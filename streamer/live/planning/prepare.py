"""Make a live run ready: find the devices, load the model, and plan for this machine."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from streamer.errors import DeviceError, SettingsError, SourceError
from streamer.files import Source, open_source
from streamer.live.devices.device import AudioBackend, Device, find_device
from streamer.live.devices.excerpt import open_song
from streamer.live.devices.streams import DeviceStreams
from streamer.live.devices.wiring import MOST_CHANNELS, Wiring
from streamer.live.mixing.routes import Place, Route, parse_route
from streamer.live.mixing.scene import load_scene
from streamer.live.planning.native import keeps_up, soonest_block
from streamer.live.planning.plan import DevicePath, LivePlan, PlanRequest, Streams
from streamer.live.planning.solver import candidate_windows, solve, stream_windows
from streamer.live.realtime.hop_engine import can_run
from streamer.live.settings import LiveSettings
from streamer.models.calibration import CalibrationStore, Subject, WindowTiming, calibrate
from streamer.models.separator import Bag
from streamer.models.weights.registry import info
from streamer.pipeline.passes import check_stream
from streamer.pipeline.separation import resampling_frames
from streamer.processor import load_bag
from streamer.words import counted

POLL_SECONDS = 0.002
"""How often the engine looks for new audio and finished windows."""
USUAL_BLOCK_FRAMES = 512
BURST_BLOCKS = 2
"""How many blocks through a sound server may come at once, beyond the first. On PulseAudio 9 of 10
came less than one block too early or late, and all but 1 in 100 less than two."""

_FILE_ENDING = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}$")

EMBEDDED = "htdemucs_mini"
EMBEDDED_RATE = 44100

MakeBag = Callable[[LiveSettings], Bag]


@dataclass(frozen=True)
class StandIn:
    """A smaller model that may replace another, and its time for the same windows."""

    bag: Bag
    timing: WindowTiming


@dataclass(frozen=True)
class Prepared:
    """All that a live run needs before its streams open.

    ``settings`` have hop, lookahead, crossfade and window filled in, as the plan has them.
    ``smaller`` may stand in for the model where that is too slow.
    """

    settings: LiveSettings
    wiring: Wiring
    source: Source | None
    bag: Bag
    plan: LivePlan
    smaller: StandIn | None = None


def prepare(
    settings: LiveSettings,
    backend: AudioBackend,
    make_bag: MakeBag = load_bag,
    device_seconds: tuple[float, float] | None = None,
    *,
    native: bool = True,
) -> Prepared:
    """Find the devices, load the model, time it, and make the plan.

    ``device_seconds`` is what input and output were seen to delay, where that is known. Without
    ``native`` the engine is the one in Python, whatever the model.

    Raises:
        StemstreamError: something that is asked for cannot be had.
    """
    wiring, source = wire(settings, backend)
    with ExitStack() as undo:
        if source is not None:
            undo.callback(source.close)
        whole = whole_bag(settings, make_bag)
        if native:
            wiring = with_soonest_block(wiring, settings, whole)
        path = device_path(wiring, backend, device_seconds)
        rate = wiring.samplerate
        chosen, bag, plan = make_plan(settings, whole, rate, path, make_bag, native=native)
        smaller = stand_in(chosen, bag, plan, make_bag) if settings.adapt else None
        undo.pop_all()
    return Prepared(chosen, wiring, source, bag, plan, smaller)


def device_path(
    wiring: Wiring, backend: AudioBackend, device_seconds: tuple[float, float] | None = None
) -> DevicePath:
    """Return what lies between the devices and the model.

    Devices tell their own delay only while they are open. Without ``device_seconds`` they are
    opened for a moment, as a run opens them, and closed again.

    Raises:
        DeviceError: a device cannot be had as asked.
    """
    if device_seconds is None:
        device_seconds = DeviceStreams(backend, wiring, 1, 0).ask()
        backend.refresh()  # else PortAudio gives its JACK ports other names the second time
    listed_seconds = wiring.outputs[0].output_latency_seconds
    if wiring.input is not None:
        listed_seconds += wiring.input.input_latency_seconds
    return DevicePath(
        block_frames=wiring.blocksize,
        poll_seconds=POLL_SECONDS,
        input_latency_seconds=device_seconds[0],
        output_latency_seconds=device_seconds[1],
        less_buffer=wiring.buffer == "high" and listed_seconds < sum(device_seconds),
        bursts=any(one.brings_bursts for one in wiring.devices),
        burst_blocks=BURST_BLOCKS * any(one.through_plugin for one in wiring.devices),
        streams=_streams(wiring),
    )


def _streams(wiring: Wiring) -> Streams:
    """Return how the streams lie to each other: an output beside the first has its own clock."""
    if wiring.input is None:
        return "file"
    return "one" if wiring.duplex and len(wiring.outputs) == 1 else "two"


def wire(settings: LiveSettings, backend: AudioBackend) -> tuple[Wiring, Source | None]:
    """Return which devices take part, and the file that is played instead of an input device.

    Raises:
        DeviceError: a device is not there.
        SourceError: the file cannot be read.
        SettingsError: the channels cannot be taken in, or the part of the file is not there.
    """
    devices = backend.devices()
    plays_file = settings.input is not None and Path(settings.input).is_file()
    device = None if plays_file else _input_device(devices, settings.input)
    found = [find_device(devices, name, "output") for name in settings.output or (None,)]
    if len(set(found)) < len(found):
        raise SettingsError("an output is named twice; give each device once, and route to it")
    outputs = tuple(_opened_for_output(output, settings, backend) for output in found)
    device = device and _opened_for_input(device, backend)
    channels = settings.input_channels or ()
    if len(channels) > 2 or any(channel < 1 for channel in channels):
        raise SettingsError(
            f"input_channels={','.join(map(str, channels))} must be one or two, from 1; try 1,2"
        )
    if device is not None and not channels:
        channels = (1,) if device.input_channels == 1 else (1, 2)
    wiring = Wiring(
        input=device,
        outputs=outputs,
        input_channels=channels,
        samplerate=settings.samplerate or outputs[0].samplerate,
        blocksize=_blocksize(settings, [*outputs, *([] if device is None else [device])]),
        buffer=settings.buffer,
    )
    return wiring, open_song(settings)


def _blocksize(settings: LiveSettings, devices: Sequence[Device]) -> int:
    """Return the frames of a block: as asked, or what a server that alone chooses them has."""
    served = next((one.block_frames for one in devices if one.block_frames is not None), None)
    if served is None:
        return settings.blocksize or USUAL_BLOCK_FRAMES
    if settings.blocksize not in (None, served):
        raise SettingsError(
            f"blocksize={settings.blocksize} must be JACK's, which has blocks of {served} frames; "
            f"leave it out, or try jack_bufsize {settings.blocksize} first (on PipeWire set "
            f"PIPEWIRE_LATENCY={settings.blocksize}/{devices[0].samplerate})"
        )
    return served


def with_soonest_block(wiring: Wiring, settings: LiveSettings, bag: Bag) -> Wiring:
    """Return the wiring with the block that the native engine's stems come soonest with.

    That is where a low delay is asked for, no block is, and all devices keep to short ones.
    """
    native = bag.stride is not None and can_run(bag, wiring.samplerate)
    keeps = settings.buffer == "low" and all(one.keeps_blocks for one in wiring.devices)
    if settings.blocksize is not None or not (native and keeps):
        return wiring
    return replace(wiring, blocksize=soonest_block(bag, wiring.samplerate))


def _input_device(devices: Sequence[Device], wanted: str | None) -> Device:
    try:
        return find_device(devices, wanted, "input")
    except DeviceError:
        if wanted is not None and (os.sep in wanted or Path(wanted).exists()):
            open_source(wanted).close()  # it was meant as a file, so say what is wrong with that
        if wanted is not None and _FILE_ENDING.search(wanted):
            raise SourceError(
                f"there is no file {wanted}, nor an input device of that name; check the path, or "
                "see `stemstream devices`"
            ) from None
        raise


def _opened_for_input(device: Device, backend: AudioBackend) -> Device:
    """Return an input device with its real channel count, where that is known."""
    behind = backend.channels_behind(device, "input")
    return device if behind is None else replace(device, input_channels=behind)


def _opened_for_output(device: Device, settings: LiveSettings, backend: AudioBackend) -> Device:
    """Return an output device with the channels that are opened of it.

    A sound server copies a stream with fewer channels onto all of them, and mixes one with more
    down. So all channels are opened. Where their number is unknown, the routes tell how many.
    """
    wanted = settings.output_channels
    if wanted is None:
        places: list[Route | Place] = [parse_route(route) for route in settings.route]
        if settings.scene is not None:
            scene = load_scene(settings.scene)
            places += scene.routes or ()
            places += [one.output for one in scene.listeners.values() if one.output is not None]
        highest = max((channel for place in places for channel in place.channels), default=0)
        behind = None if device.makes_ports else backend.channels_behind(device, "output")
        if behind is None:
            wanted = min(max(highest, 2), device.output_channels)
        else:
            wanted = min(max(highest, MOST_CHANNELS), behind)
    elif wanted > device.output_channels:
        raise SettingsError(
            f"output_channels={wanted} must be at most the "
            f"{counted(device.output_channels, 'channel')} of {device.name}; "
            f"try {device.output_channels}"
        )
    return replace(device, output_channels=wanted)


def whole_bag(settings: LiveSettings, make_bag: MakeBag = load_bag) -> Bag:
    """Load the model with the longest live windows that it can have."""
    # any hop makes them live windows
    return make_bag(settings.model_copy(update={"window": None, "hop": 1.0}))


def make_plan(
    settings: LiveSettings,
    whole: Bag,
    samplerate: int,
    path: DevicePath,
    make_bag: MakeBag = load_bag,
    *,
    native: bool = True,
) -> tuple[LiveSettings, Bag, LivePlan]:
    """Time the model here, and choose engine, window, hop and lookahead.

    ``whole`` is the model of `whole_bag`. Without ``native`` the engine is the one in Python.

    Raises:
        SettingsError: the promise cannot be kept, or a value that is given does not fit.
        ModelError: the model cannot be had, or is too slow.
    """
    lengths = _windows_to_try(settings, whole)

    def bag_for(window_seconds: float) -> Bag:
        return make_bag(settings.model_copy(update={"window": window_seconds, "hop": 1.0}))

    store = CalibrationStore(max_age_seconds=0.0) if settings.calibrate else CalibrationStore()
    time_windows = partial(calibrate, bag_for, subject=subject(settings, whole), store=store)
    request = _plan_request(settings, samplerate, path, whole)
    timings = time_windows(lengths[:1]).timings
    if native and _goes_native(request, whole, timings[0]):
        request = replace(request, engine="native")  # which has no other windows
    elif lengths[1:]:
        timings += time_windows(lengths[1:]).timings
    plan = solve(request, timings)
    rate = whole.samplerate
    chosen = settings.model_copy(
        update={
            "window": plan.window_frames / rate,
            "hop": plan.hop_frames / rate,
            "lookahead": plan.lookahead_frames / rate,
            "crossfade": plan.crossfade_frames / rate,
        }
    )
    return chosen, bag_for(_seconds_of(plan)), plan


def _plan_request(
    settings: LiveSettings, samplerate: int, path: DevicePath, bag: Bag
) -> PlanRequest:
    return PlanRequest(
        model=bag.name,
        samplerate=samplerate,
        model_samplerate=bag.samplerate,
        latency_seconds=settings.latency,
        hop_seconds=settings.hop,
        lookahead_seconds=settings.lookahead,
        crossfade_seconds=settings.crossfade,
        shifts=settings.shifts if bag.stride is None else 0,
        stride=bag.stride,
        path=replace(
            path,
            resampling_frames=resampling_frames(samplerate, bag.samplerate, settings.resampler),
        ),
    )


def _goes_native(request: PlanRequest, bag: Bag, timing: WindowTiming) -> bool:
    """Return whether the native engine can run a model, given one hop at a time, and keeps up."""
    stride = request.stride
    if stride is None or not can_run(bag, request.samplerate):
        return False
    return stride.new_frames(timing.window_frames) == stride.hop_frames and keeps_up(
        request, timing
    )


def _windows_to_try(settings: LiveSettings, bag: Bag) -> list[float]:
    """Return the lengths of the windows to time, in seconds."""
    if bag.stride is None:
        longest_frames = min(one.window_frames for one in bag.separators)
        return candidate_windows(longest_frames / bag.samplerate, settings.window)
    check_stream(bag.name, bag.stride, bag.samplerate, settings)
    if settings.window is not None:
        raise SettingsError(
            f"window={settings.window:g} cannot be chosen: {bag.name} goes along the stream and "
            "has no windows; leave it out"
        )
    return stream_windows(bag.stride, bag.samplerate, settings.hop)


def _seconds_of(plan: LivePlan) -> float:
    """Return the plan's window in seconds; a model that cuts them to frames gets all of them."""
    return math.nextafter(plan.window_frames / plan.request.model_samplerate, math.inf)


def stand_in(
    settings: LiveSettings, bag: Bag, plan: LivePlan, make_bag: MakeBag = load_bag
) -> StandIn | None:
    """Return the embedded model for the same windows, if it is another with the same stems."""
    if bag.name in (EMBEDDED, "passthrough") or settings.repo is not None or bag.stride:
        return None
    if info(EMBEDDED).stems != bag.names or bag.samplerate != EMBEDDED_RATE:
        return None
    seconds = plan.window_frames / bag.samplerate
    wish = settings.model_copy(update={"model": EMBEDDED, "window": _seconds_of(plan)})
    smaller = make_bag(wish)
    if smaller.channels != bag.channels:
        return None
    timings = calibrate(
        lambda _: smaller, [seconds], subject(wish, smaller), store=CalibrationStore()
    ).timings
    return StandIn(smaller, timings[0])


def subject(settings: LiveSettings, bag: Bag) -> Subject:
    """Return what is timed: the model, and everything that its speed depends on."""
    one_of_several = ":" in settings.device  # as cuda:1
    return Subject(
        model=bag.name,
        backend=f"{bag.backend} {settings.device if one_of_several else bag.device}".strip(),
        threads=settings.torch_num_threads or 0,
        stems=settings.needed_stems or (),
        weights=bag.weights,
    )
