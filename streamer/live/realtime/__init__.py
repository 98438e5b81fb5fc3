"""The real-time path: what a device calls for each block, and what it works on.

`callbacks` is compiled and calls compiled functions alone: no Python object, no lock, no memory,
no log. `ports` and `feed` are its rings, gains and counters for Python; `drift` holds two clocks
together.
"""
