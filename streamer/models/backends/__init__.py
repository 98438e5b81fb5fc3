"""What runs networks: torch, OpenVINO, compiled code, an NVIDIA GPU, or nothing at all.

Each is a `Separator` over windows or along a stream, and gives what torch gives. Nothing here knows
a model by its name; `streamer.models.members` puts both together.
"""
