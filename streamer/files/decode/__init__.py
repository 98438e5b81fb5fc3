"""What is read: any file, pipe or stem file as a `source`, block by block and never whole.

`opening` chooses: `pcm` through libsndfile, `compressed` through FFmpeg. Whatever is wrong with a
file ends in one `SourceError`.
"""
