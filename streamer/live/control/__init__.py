"""Control of a run from outside: one `Controls` for keys and OSC.

`commands` says what an address means (pure), `subscriptions` who is told what, `remote` is the
thread and the socket. A remote starts no process, and reads no file but a scene.
"""
