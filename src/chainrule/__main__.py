"""Main: the command line as `chainrule`, and as `python -m chainrule`.

It takes a second to import all of it. Ctrl-C is answered in one line then, too.
"""

import atexit
import contextlib
import gc
import os
import signal
from types import FrameType


def main() -> None:
    """Import the command line, and run it."""
    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if heard:  # not ignored, as in the background of a shell
        signal.signal(signal.SIGINT, _end)
    from chainrule.cli import main as run

    if heard:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # What is left goes with the process; to look through it for cycles takes up to half a second.
    atexit.register(gc.freeze)
    run()


def _end(number: int, frame: FrameType | None) -> None:
    """End at once: nothing is begun, and an exception may get lost within an import."""
    with contextlib.suppress(OSError):
        os.write(2, b"chainrule: interrupted\n")
    os._exit(130)


if __name__ == "__main__":
    main()
