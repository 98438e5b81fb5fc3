"""The band's page: a mixing desk in the browser, for everyone in the room.

`messages` are the words of the WebSocket, `roles` who may do what, `gate` who is let in, `view`
what a run looks like from there, `outbox` what one client is still to be sent. `app` puts them
together, `server` is the thread and the socket. Nothing here starts a process, takes a path from a
client or waits for one; `static` holds the page itself.
"""
