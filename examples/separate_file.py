"""Separate a file into files: ``python examples/separate_file.py song.flac``."""

import sys

import streamer

[report] = streamer.separate(sys.argv[1], model="htdemucs_mini", out="separated")
for stem, path in report.paths.items():
    print(stem, path)
