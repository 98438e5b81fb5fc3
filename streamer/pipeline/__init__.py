"""From audio to stems: the stages of a stream, whoever brings it.

`separation` is the path top to bottom; `passes` say which windows which model sees, `worker` is the
thread that owns the model; the rest are pure stages, and none of them imports another. No files, no
sound devices and no torch enter here.
"""
