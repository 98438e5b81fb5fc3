"""Projects: files that open all stems of a song side by side in a DAW.

`contents` says what a project holds, `reaper` writes it for Reaper, and `kinds` lists what can be
written. Another DAW is a module like `reaper`, a line in `kinds`, and a name in
`streamer.settings.ProjectKind`.
"""
