"""PipeWire of our own, as a desktop has it, without a sound card; see `servers`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from live.support.servers import RATE, Server, folder, needs, running

NEEDED = ("pipewire", "pipewire-pulse", "wireplumber", "pw-metadata", "pw-jack", "pactl", "parec")

SETTINGS = {
    "pipewire/pipewire.conf.d/tests.conf": """
context.properties = {
    default.clock.rate = %(rate)s  default.clock.allowed-rates = [ 44100 48000 ]
    default.clock.quantum = %(frames)s  default.clock.min-quantum = 32
}
context.objects = [
    { factory = adapter  args = {
        factory.name = support.null-audio-sink  media.class = Audio/Sink
        node.name = speaker  node.description = speaker
        audio.position = [ FL FR ]  object.linger = true } }
    { factory = adapter  args = {
        factory.name = support.null-audio-sink  media.class = Audio/Source/Virtual
        node.name = mic  node.description = mic
        audio.position = [ FL FR ]  object.linger = true } }
]
context.exec = [
    { path = wireplumber }
    { path = pipewire  args = "-c pipewire-pulse.conf" }
]
""",
    "pipewire/pipewire-pulse.conf.d/tests.conf": """
pulse.properties = { server.address = [ "unix:%(place)s/socket" ] }
""",
    # no devices of this machine, and nothing that needs D-Bus
    "wireplumber/main.lua.d/51-tests.lua": """
alsa_monitor.enabled = false
v4l2_monitor.enabled = false
libcamera_monitor.enabled = false
default_access.properties["enable-flatpak-portal"] = false
""",
    "wireplumber/bluetooth.lua.d/51-tests.lua": "bluez_monitor.enabled = false",
    # without a default device PortAudio 19.6 aborts
    "asound.conf": """
pcm.default { type null }
pcm.player { type pulse device "speaker" }
pcm.source { type pulse device "speaker.monitor" }
""",
}


@contextmanager
def pipewire(period_frames: int = 256, rate: int = RATE) -> Iterator[Server]:
    """PipeWire with its session manager, its PulseAudio server and its JACK.

    It has an output, ``speaker``, and an input, ``mic``, which gives what is played into it. They
    are a sink and a source to PulseAudio's programs, and to JACK's the ports
    ``speaker:playback_FL``, ``mic:input_FL``, ``mic:capture_FL`` and so on. For PortAudio there are
    the ALSA devices ``player`` (plays into ``speaker``) and ``source`` (what was played there). The
    rate can change to 44100 Hz.
    """
    needs(*NEEDED)
    with folder() as place:
        for name, text in SETTINGS.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(
                text % {"rate": rate, "frames": period_frames, "place": place}
            )
        environment = {
            "XDG_RUNTIME_DIR": str(place),
            "PIPEWIRE_RUNTIME_DIR": str(place),
            "PULSE_RUNTIME_PATH": str(place),
            "PULSE_SERVER": f"unix:{place}/socket",
            "DBUS_SESSION_BUS_ADDRESS": "disabled:",
            "ALSA_CONFIG_PATH": str(place / "asound.conf"),
            "JACK_DEFAULT_SERVER": place.name,  # no jackd is called so
            "JACK_NO_START_SERVER": "1",
        }
        homes = [f"XDG_{name}_HOME={place}" for name in ("CONFIG", "DATA", "STATE")]
        command = ("env", *homes, "pipewire")
        ready = ("sh", "-c", "pactl get-default-sink | grep -qx speaker")
        yield from running(Server("pipewire", environment, command, ready, rate, ["pw-jack"]))
