"""Fetching one file by HTTP: goes on where an interrupted one ended, and tells a cut one."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

from lmr.progress import Advance

_BLOCK = 1 << 18
_TIMEOUT = 60


def download(url: str, part: Path, advance: Advance, size: int | None = None) -> None:
    """Fetch a file into `part`, of `size` bytes if that is known. Raises OSError; what came stays for the next call.

    Where no size is known, what is there already is kept only if the server says that the file is still the same.
    """
    have = part.stat().st_size if part.exists() else 0
    if size is not None and have >= size:
        part.unlink(missing_ok=True)
        have = 0
    mark = part.with_name(f"{part.name}.mark")
    headers = {"Range": f"bytes={have}-"} if have else {}
    if have and size is None:
        before = _mark(mark)
        headers = {**headers, "If-Range": before} if before else {}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT) as answer:
        resumed = answer.status == 206
        if size is None:
            length = answer.headers.get("Content-Length")
            size = None if length is None else int(length) + (have if resumed else 0)
            mark.write_text(json.dumps(answer.headers.get("ETag") or answer.headers.get("Last-Modified")))
        advance(have if resumed else 0)
        with part.open("ab" if resumed else "wb") as file:
            while block := answer.read(_BLOCK):
                file.write(block)
                advance(len(block))
                if size is not None and file.tell() > size:
                    raise OSError(f"more than the expected {size:,} bytes came")
            if size is not None and file.tell() < size:
                raise OSError(f"the connection ended after {file.tell():,} of {size:,} bytes")
    mark.unlink(missing_ok=True)


def _mark(path: Path) -> str | None:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, str) else None
