"""Reading: any file, pipe or stem file is a `source`, read block by block and never whole.

`opening` chooses: `pcm` reads through libsndfile, `compressed` through FFmpeg. Whatever is wrong
with a file ends in one `SourceError`.
"""
