"""Control of a run from outside: one `Controls` for keys, OSC, MIDI and the page.

`controls` is what can be reached at all, `values` every value of it by address (the control tree),
`commands` says what a message means (pure), `subscriptions` who is told what, `remote` is the
thread and the socket. A remote starts no process, and reads no file but a scene.
"""
