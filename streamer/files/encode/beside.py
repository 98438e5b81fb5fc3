"""Write an output on a thread of its own, beside the others and beside the model."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

from streamer.files.encode.sink import Output

MOST_WAITING: Final = 8
"""How many steps may wait for an encoder: enough to keep it busy, few enough to stay small."""


class Beside(Output):
    """An output with a thread of its own: its encoder holds up neither the model nor the others.

    Codecs let other threads run while they work. The steps run in their order, so the bytes do not
    depend on the thread. After an error no further step runs, and the next call raises it. Until
    the end of `seal` or `abort` only the thread touches the output. If no thread can be started,
    the output is aborted.
    """

    def __init__(self, output: Output) -> None:
        self.note = output.note
        self._output = output
        # queues without a lock in Python, which Ctrl-C could leave locked
        self._steps: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._done: SimpleQueue[BaseException | None] = SimpleQueue()
        self._waiting = 0
        self._sealing = self._stopped = False
        self._thread = threading.Thread(target=self._run, name="stemstream-encoder", daemon=True)
        try:
            self._thread.start()
        except BaseException:
            self._steps.put(None)  # it may have started all the same
            output.abort()
            raise

    def do(self, step: Callable[[], None]) -> None:
        """Have the thread do a step after those before it; wait while too many wait already.

        Raises:
            SinkError: an earlier step failed; nothing is left behind.
        """
        while self._waiting >= MOST_WAITING or not self._done.empty():
            self._take()
        self._waiting += 1
        self._steps.put(step)

    def begin_seal(self) -> None:
        """See `Output.begin_seal`."""
        if not self._sealing:
            self._sealing = True
            self.do(self._output.seal)

    def seal(self) -> None:
        """See `Output.seal`."""
        if self._stopped:
            return
        self.begin_seal()
        while self._waiting:
            self._take()
        self._stop()

    def commit(self) -> None:
        """See `Output.commit`."""
        self.seal()
        self._output.commit()

    def abort(self) -> None:
        """See `Output.abort`; waits for the step at hand, a block's."""
        self._output.given_up = True  # sealing may take as long as a whole song
        self._stop()
        self._output.abort()

    def retract(self) -> None:
        """See `Output.retract`."""
        self._output.retract()

    def _take(self) -> None:
        """Wait for the next step to end."""
        error = self._done.get()
        self._waiting -= 1
        if error is not None:
            raise error

    def _stop(self) -> None:
        self._stopped = True
        self._steps.put(None)
        self._thread.join()

    def _run(self) -> None:
        """The thread."""
        error: BaseException | None = None
        while (step := self._steps.get()) is not None:
            if error is None and not self._stopped:
                try:
                    step()
                except BaseException as caught:  # whoever waits raises it
                    error = caught
            self._done.put(error)
