"""The backends that run networks: torch, OpenVINO, compiled code, an NVIDIA GPU, or nothing.

Each is a `Separator` over windows or along a stream, and gives the same stems as torch. Nothing
here knows a model by its name; `streamer.models.members` puts both together.
"""
