"""MIDI controllers: knobs, faders, buttons and their lamps.

Pure: `signals` reads and writes messages, `controller_map` says which control moves what, `scale`
turns places into values, `takeover` keeps values from jumping, `learning` finds the control that a
hand moves, `control` is one control with all that, `surface` all of a controller. `ports` has the
machine's ports, `link` is the thread.
"""
