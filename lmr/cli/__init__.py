"""The command line: a thin skin over jobs and readers. Data go to standard output, everything for people to error."""

from __future__ import annotations

import errno
import io
import sqlite3
import sys

_STORAGE = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.EFBIG,
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ELOOP,
)


def main() -> None:
    """Run `lmr`; exit codes: 0 ok, 1 failed, 2 wrong usage, 130 interrupted."""
    from lmr.cli.commands import app
    from lmr.cli.show import say
    from lmr.errors import LmrError

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files need not be text
    try:
        app()
    except LmrError as error:
        say(f"lmr: {error}")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(0)
    except OSError as error:
        if error.errno not in _STORAGE:
            raise
        where = f"{error.filename}: " if error.filename else ""
        say(f"lmr: {where}{error.strerror}; once that is mended the same command goes on")
        sys.exit(1)
    except sqlite3.DatabaseError as error:
        print(f"lmr: the ledger cannot be read: {error}; `lmr check` tells what is damaged", file=sys.stderr)
        sys.exit(1)
    except MemoryError:
        print("lmr: memory ran out; try fewer workers (--workers 1)", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("lmr: interrupted; the same command goes on where it stopped", file=sys.stderr)
        sys.exit(130)
