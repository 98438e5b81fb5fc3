"""The command line of stemstream: one module a command."""
