"""Live runs: sound devices in, stems out, at a constant delay.

::

    callbacks     all real-time code: what PortAudio calls for each block of a device
    ports         the rings, gains and counters that a callback works on, for Python
    drift         the filter tables and loop constants for two devices with two clocks
    devices       sound devices, how to name one, what a stream on it can do
    portaudio     those of this machine; portaudio_library keeps PortAudio itself in order
    virtual       fake ones (virtual_device), on virtual time
    realtime      real-time priority of threads
    watchdog      knows that a device is gone, and when to try again
    mixer         who hears what: routes, gain, mute, solo, pan, scenes
    plan          which window, hop and lookahead keep a promised latency on this machine
    ladder        what to give up, and when, where the model does not keep up
    recorder      stems to disk while they play
    remote        OSC
    report        what a run measured, as JSON, CSV or a page
    metrics       the same while it runs, for Prometheus
    status        states and their reasons
    session       the live run itself, top to bottom
"""
