"""The real-time path: what a device calls for each block, what it works on, and the hop engine.

`callbacks` is compiled and calls compiled functions alone: no Python object, no lock, no memory,
no log; `jack_callbacks` brings JACK's blocks to it. `ports` and `feed` are its rings, gains and
counters for Python; `drift` holds two clocks together. `hop_loop` takes a model along the stream
in compiled code, too, on the thread of `hop_engine`; `priority` asks for that thread's priority.
"""
