"""The command line: a thin skin over lmr.collection. Data go to standard output, everything for people to error."""

from __future__ import annotations

import sys


def main() -> None:
    """Run `lmr`; exit codes: 0 ok, 1 failed, 2 wrong usage, 130 interrupted."""
    from lmr.cli.app import app
    from lmr.errors import LmrError

    try:
        app()
    except LmrError as error:
        print(f"lmr: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("lmr: interrupted; the same command goes on where it stopped", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
