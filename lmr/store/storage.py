"""A folder of a collection's own, on shared or object storage: where files are put whole, and read by ranges."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs

from lmr.errors import StorageError, UsageError
from lmr.settings import without_password

_ABOUT = "about.txt"
_PIECE = 4 * 2**20  # bytes
_TOLD = 200  # characters of what a server says


class Storage:
    """The files of one collection below an address; any thread may use it.

    What cannot be reached or written raises StorageError, a file that is missing FileNotFoundError.
    """

    def __init__(self, address: str, id: str) -> None:
        """address: see `storage_address`; id: the collection's, whose folder is a part of its own below that."""
        self.shown = without_password(address)
        try:
            self._files, base = _opened(address)
        except (pa.ArrowException, OSError, ValueError, ImportError):  # what they say may hold a password
            raise UsageError(
                f"the storage {self.shown} cannot be opened: look at its address, and at what pyarrow is built with"
            ) from None
        self._here = isinstance(self._files, fs.LocalFileSystem)
        self._folder = f"{base.rstrip('/')}/lmr-{id}"
        self._about = f"Features of the photos of the lmr collection {id}: see `lmr move --help`.\n".encode()

    def begin(self) -> None:
        """Make the collection's folder, with a line for people in it: so it is known that files can be written."""
        with self._told("written to"):
            if self._here:
                folder = Path(self._folder)
                if not folder.parent.parent.is_dir():
                    raise StorageError(f"{folder.parent.parent} is not there, so neither is {self.shown}")
                for one in (folder.parent, folder):
                    one.mkdir(mode=0o700, exist_ok=True)
            self._write(_ABOUT, pa.py_buffer(self._about))

    def end(self) -> None:
        """Take away a folder in which nothing is left but that line."""
        with contextlib.suppress(FileNotFoundError):
            if self.sizes().keys() == {_ABOUT} and self.read(_ABOUT) == self._about:
                self.remove(_ABOUT)
                if self._here:
                    with contextlib.suppress(OSError):  # somebody has just put something in
                        os.rmdir(self._folder)

    def put(self, name: str, data: pa.Buffer) -> None:
        """Write a file, which is there whole and durably when this ends, or not at all."""
        self._check_there()
        with self._told("written to"):
            self._write(name, data)

    def _write(self, name: str, data: pa.Buffer) -> None:
        if not self._here:  # object storage shows a file when all of it has arrived
            with self._files.open_output_stream(f"{self._folder}/{name}") as file:
                file.write(data)
            found = self._files.get_file_info(f"{self._folder}/{name}").size
            if found != data.size:
                raise OSError(f"{name} has {found} bytes there, of {data.size:,} that were sent")
            return
        part, folder = Path(self._folder, f"{name}.part"), os.open(self._folder, os.O_RDONLY)
        try:
            with part.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(part.with_name(name))
            os.fsync(folder)
        finally:
            os.close(folder)

    def open(self, name: str) -> Any:
        """A file to be read at any place, as pyarrow has it. Raises FileNotFoundError."""
        try:
            with self._told("read"):
                return self._files.open_input_file(f"{self._folder}/{name}")
        except FileNotFoundError:
            self._check_there()
            raise

    def read(self, name: str) -> bytes:
        """All of a small file. Raises FileNotFoundError."""
        with self.open(name) as file, self._told("read"):
            return bytes(file.read())

    def sha256(self, name: str) -> str:
        """That of all bytes of a file. Raises FileNotFoundError."""
        sum = hashlib.sha256()
        with self.open(name) as file, self._told("read"):
            while piece := file.read(_PIECE):
                sum.update(piece)
        return sum.hexdigest()

    def sizes(self) -> dict[str, int]:
        """Bytes of every file by its name, those of others too."""
        self._check_there()
        with self._told("read"):
            found = self._files.get_file_info(fs.FileSelector(self._folder, allow_not_found=True))
        return {one.base_name: one.size for one in found if one.type == fs.FileType.File}

    def remove(self, name: str) -> None:
        """Delete a file, if it is there."""
        with contextlib.suppress(FileNotFoundError), self._told("written to"):
            self._files.delete_file(f"{self._folder}/{name}")

    def check(self, name: str) -> None:
        """Raise StorageError where a file cannot be read, FileNotFoundError where it is missing."""
        with self.open(name) as file, self._told("read"):
            file.read(1)

    def _check_there(self) -> None:
        """A folder that is not there is never made later: what it is on may be away, and another would be filled."""
        if self._here and not os.path.isdir(self._folder):
            raise StorageError(
                f"{self._folder} is not there, where features lie: is that disk mounted? Then the same command goes on"
            )

    @contextlib.contextmanager
    def _told(self, done: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except (OSError, pa.ArrowException) as error:
            raise StorageError(
                f"{self.shown} cannot be {done}: {str(error).strip()[:_TOLD]}. Nothing that was finished is lost; "
                "when it can be, the same command goes on"
            ) from error


def _opened(address: str) -> tuple[fs.FileSystem, str]:
    if "://" not in address:
        return fs.LocalFileSystem(), address
    return fs.FileSystem.from_uri(address)
