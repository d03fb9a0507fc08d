"""The command line: the only package that prints or decides exit codes.

0 passed · 1 the verdict is a failure · 2 bad input or usage · 3 link or board failure · 4 a tool is missing ·
130 interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from host.errors import DigitduinoError

EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code. Every deliberate error is one line on standard error."""
    try:
        with _terminate_like_interrupt():
            # Inside the try, so that Ctrl-C during the slow imports is quiet too.
            from host.cli.parser import build_parser

            arguments = build_parser().parse_args(argv)
            code: int = arguments.run(arguments)
            return code
    except DigitduinoError as error:
        print(f"host: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return _say_interrupted()
    except OSError as error:
        print(
            f"host: {error.filename or 'system'}: {error.strerror or error}; check the place and rerun", file=sys.stderr
        )
        return 2
    except RuntimeError as error:
        # Python up to 3.11 words a Ctrl-C during a class statement, so during the imports, as its RuntimeError.
        if not isinstance(error.__cause__, KeyboardInterrupt):
            raise
        return _say_interrupted()
    finally:
        _flush()


def _say_interrupted() -> int:
    print("host: interrupted", file=sys.stderr)
    return EXIT_INTERRUPTED


@contextmanager
def _terminate_like_interrupt() -> Iterator[None]:
    """SIGTERM ends a command as cleanly as Ctrl-C: boards stopped, unfinished files gone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _flush() -> None:
    """Flush here, because Python would complain at exit where the reader (`host … | head`) has gone."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
