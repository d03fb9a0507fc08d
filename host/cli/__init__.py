"""The command line: the only package that prints or decides exit codes.

0 passed · 1 the verdict is a failure · 2 bad input or usage · 3 link or board failure · 4 a tool is missing ·
130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from host.errors import DigitduinoError

EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code. Every deliberate error is one line on standard error."""
    try:
        # Inside the try, so that Ctrl-C during the slow imports is quiet too.
        from host.cli.parser import build_parser

        arguments = build_parser().parse_args(argv)
        code: int = arguments.run(arguments)
        return code
    except DigitduinoError as error:
        print(f"host: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("host: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone (`host … | head`): not an error of ours. Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(
            f"host: {error.filename or 'system'}: {error.strerror or error}; check the place and rerun", file=sys.stderr
        )
        return 2
