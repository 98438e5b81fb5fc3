"""What changes a run from outside: one `Controls` for keys, OSC and all that comes after.

`commands` says what an address means (pure), `subscriptions` who is told what, `remote` is the
thread and the socket. A remote reaches controls, and no path and no process.
"""
