"""The list of what lmr wrote, in each folder that it wrote to: `.lmr-outputs.json`.

{"made by": "lmr", "files": {name: [SHA-256, ...]}, "parts": [name, ...]}. A file is lmr's own as long as its bytes have
one of the hashes; while it is being replaced there are two, so that it is lmr's whenever the writer is killed. Parts
are the hidden folders in which outputs are being made. A list that cannot be read makes nothing lmr's, and stays.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lmr.outputs.owned import digest, read_list

LIST = ".lmr-outputs.json"
PART = re.compile(r"\.lmr-[0-9a-f]{12}\.part")
_MOST = 4 * 2**20  # bytes


@dataclass(slots=True)
class Listed:
    """The list of a folder; `save` writes it, unless the one that is there cannot be read."""

    folder: Path
    files: dict[str, list[str]] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)
    damaged: bool = False

    def save(self) -> None:
        """Replace the file in one step. What is no longer there is left out when the list becomes too long."""
        if self.damaged:
            return
        data = self._text()
        if len(data) > _MOST:
            self.files = {name: own for name, own in self.files.items() if os.path.lexists(self.folder / name)}
            data = self._text()
        while len(data) > _MOST:
            self.files = dict(list(self.files.items())[len(self.files) // 4 + 1 :])
            data = self._text()
        part = self.folder / f"{LIST}.part"
        part.unlink(missing_ok=True)
        with part.open("xb") as file:
            file.write(data)
        part.replace(self.folder / LIST)

    def _text(self) -> bytes:
        return json.dumps({"made by": "lmr", "files": self.files, "parts": self.parts}, indent=1).encode()


def read(folder: Path) -> Listed:
    """The list of a folder; empty where there is none."""
    found = read_list(folder / LIST, _MOST)
    if found is None:
        return Listed(folder, damaged=os.path.lexists(folder / LIST))
    files = {name: own for name, own in found["files"].items() if isinstance(own, list) and "/" not in name}
    parts = found.get("parts")
    known = (
        [name for name in parts if isinstance(name, str) and PART.fullmatch(name)] if isinstance(parts, list) else []
    )
    return Listed(folder, files, known)


def is_ours(target: Path) -> bool:
    """Whether lmr wrote a file, and nobody has changed it since."""
    own = read(target.parent).files.get(target.name, [])
    return bool(own) and (digest(target) or "") in own


@contextlib.contextmanager
def holding(folder: Path) -> Iterator[Listed]:
    """The list of a folder, with which no other process writes there meanwhile."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # a file system without locks: two commands at once may forget an output
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield read(folder)
    finally:
        os.close(handle)
