"""Every error a user can meet, and the exit code the command line gives it.

::

    StemstreamError                 1
     +- SettingsError               2   a value, flag or settings file is wrong
     +- SourceError                 3   the input cannot be read
     +- SinkError                   4   the output cannot be written
     |   +- OutputExistsError       4
     +- ModelError                  5   the model is unknown, broken or cannot run
     |   +- ModelMemoryError        5   memory ran out while it ran
     |   +- WeightsError            5   its weights are not here and cannot be fetched
     +- DeviceError                 6   a sound device is missing, busy or refuses

Each message is one sentence that says what is wrong and the way out. Ctrl-C is no error: it ends
with 130, as shells expect.
"""

from __future__ import annotations


class StemstreamError(Exception):
    """The parent of every error of this package."""

    exit_code = 1


class SettingsError(StemstreamError, ValueError):
    """A setting has a value that cannot be used."""

    exit_code = 2


class SourceError(StemstreamError):
    """The input is missing, unreadable, or holds no audio."""

    exit_code = 3


class SinkError(StemstreamError):
    """The output cannot be written."""

    exit_code = 4


class OutputExistsError(SinkError):
    """A file stands where a stem would go."""


class ModelError(StemstreamError):
    """The model is unknown, cannot be built, or failed while it ran."""

    exit_code = 5


class ModelMemoryError(ModelError):
    """The model's device has not enough memory."""


class WeightsError(ModelError):
    """The model's weights are missing and cannot be downloaded, or are not what they should be."""


class DeviceError(StemstreamError):
    """A sound device is missing, busy, refuses a setting, or shares its name with another."""

    exit_code = 6
