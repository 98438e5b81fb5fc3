"""Writing: a `sink` for each stem, or one for all stems of a track.

`track` says where stems go; `file_sink`, `stem_mp4` and `pipe` write them. A file appears under its
name when it is whole, or not at all.
"""
