"""From audio to stems: the stages of a stream, whoever brings it.

`separation` is the path, top to bottom. `passes` say which model sees which windows. `worker` is
the thread that runs the model. The rest are pure stages, and none of them imports another. No
files, no sound devices and no torch enter here.
"""
