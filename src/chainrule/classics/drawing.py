"""Drawing: pictures drawn by a second process, beside the trainings of this one.

Matplotlib takes longer to import than a small system to train, and within one process the
interpreter's lock lets only one of the two go on.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any, BinaryIO

from chainrule.plots import save_figure

#: A function without parameters that draws a picture and returns its Axes.
Drawing = Callable[[], Any]


def save(drawing: Drawing, path: Path, *, force: bool = False) -> None:
    """Draw a picture to a file, in a folder that is made where it is missing.

    Raises FileExistsError for a picture that is there already, unless `force`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    save_figure(drawing(), path, force=force, tight=False)  # each has its margins already


class Drawer:
    """A second process that draws what it is told into a folder; to be used by `with`.

    What it is told goes through a pipe, so each drawing must be one that can be pickled, such as a
    `functools.partial` of a function. It ends with this process, however this one ends.

    >>> from functools import partial
    >>> from tempfile import TemporaryDirectory
    >>> from chainrule.classics.pictures import draw_ladder
    >>> with TemporaryDirectory() as folder, Drawer(Path(folder)) as drawer:
    ...     drawer.draw("ladder.png", partial(draw_ladder, {"digits": [0.9, 0.95]}, ["none", "32"]))
    ...     [(path.name, path.exists()) for path in drawer.finish()]
    [('ladder.png', True)]
    """

    def __init__(self, folder: Path, *, force: bool = False) -> None:
        self.folder, self.force = folder, force
        self.told: dict[Path, Future[None]] = {}
        self.post = ThreadPoolExecutor(1, "drawer")  # waits while the other process is busy
        # Warnings are not for the reader of a command, nor are modules that lie where it is run,
        # and Ctrl-C is for this process alone.
        self.process = Popen(
            [sys.executable, "-P", "-W", "ignore", "-m", __name__],
            stdin=PIPE, stdout=PIPE, start_new_session=True,
        )  # fmt: skip

    def draw(self, name: str, drawing: Drawing) -> None:
        """Have a picture drawn to a file of that name, made whole or not at all."""
        path = self.folder / name
        self.told[path] = self.post.submit(self._tell, (path, drawing, self.force))

    def finish(self) -> list[Path]:
        """Wait for the pictures, and return their paths; raise what went wrong with the first.

        Raises RuntimeError where the process was ended by somebody.
        """
        closing = self.post.submit(self._stream("stdin").close)
        answer = self._stream("stdout").read()
        if not answer:
            raise RuntimeError(f"the process that draws ended with code {self.process.wait()}")
        error = pickle.loads(answer)
        if error is not None:
            raise error
        for sent in (*self.told.values(), closing):
            sent.result()
        return [*self.told]

    def __enter__(self) -> Drawer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *more: Any) -> None:
        if kind is not None:
            self.process.kill()
        self.post.shutdown(cancel_futures=True)
        with contextlib.suppress(BrokenPipeError):  # it was ended with something still to read
            self._stream("stdin").close()
        self.process.__exit__(kind, *more)

    def _tell(self, what: tuple[Path, Drawing, bool]) -> None:
        self._stream("stdin").write(pickle.dumps(what))  # as one: each write waits for the lock
        self._stream("stdin").flush()

    def _stream(self, name: str) -> BinaryIO:
        stream: BinaryIO = getattr(self.process, name)
        return stream


def serve(told: BinaryIO) -> Exception | None:
    """Draw what is told until that ends; return the first error, or None."""
    for slow in ("matplotlib.figure", "matplotlib.backends.backend_agg"):
        import_module(slow)  # before there is something to draw

    failed: Exception | None = None
    while True:
        try:
            path, drawing, force = pickle.load(told)
        except (EOFError, pickle.UnpicklingError):  # all is told; or who told was killed meanwhile
            return failed
        try:
            save(drawing, path, force=force)
        except Exception as error:
            failed = failed or error


if __name__ == "__main__":
    answer = pickle.dumps(serve(sys.stdin.buffer))
    with contextlib.suppress(BrokenPipeError):  # nobody is there to hear it
        os.write(1, answer)
