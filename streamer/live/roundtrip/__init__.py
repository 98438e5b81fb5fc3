"""The whole delay, measured through a cable from an output back to an input.

`cable` plays bursts and records them, `loopback` finds the delay between both (pure), `run` does it
with a live run between them.
"""
