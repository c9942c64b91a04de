"""Fetch the pinned server jars once per user, in parallel, resumable, each checked against its SHA-256."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lmr.download import download
from lmr.errors import DownloadError
from lmr.local import links
from lmr.local.process import locked
from lmr.progress import Advance, Progress
from lmr.resources import resource
from lmr.settings import Settings

_MAVEN_CENTRAL = "https://repo.maven.apache.org/maven2"
_THREADS = 16
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Jar:
    """One pinned artifact: `path` is its place in a Maven repository."""

    sha256: str
    size: int
    path: str

    @property
    def folder(self) -> str:
        """`plugins` for those whose classes Neo4j scans for procedures, `lib` for the class path."""
        if self.path.startswith("org/neo4j/gds/proc"):
            return "plugins"
        return "browser" if self.path.startswith("org/neo4j/client/neo4j-browser/") else "lib"


def pinned() -> list[Jar]:
    """The list of jars that travels with lmr."""
    lines = resource("deploy/server-jars.txt").read_text().splitlines()
    return [Jar(digest, int(size), path) for digest, size, path in (line.split(" ") for line in lines)]


def pinned_version(artifact: str) -> str:
    """Version of an artifact in the list, named as `group/name`, such as `org/neo4j/neo4j`."""
    return next(jar.path.split("/")[-2] for jar in pinned() if jar.path.rsplit("/", 2)[0] == artifact)


def cache_folder(settings: Settings) -> Path:
    """The per-user folder for what lmr fetches; collections share it."""
    if settings.cache != Path():
        return settings.cache
    import platformdirs

    return Path(platformdirs.user_cache_dir("lmr", appauthor=False))


def server_folder(settings: Settings) -> Path:
    """Folder of this list of jars: another list gets another folder, so that versions never mix."""
    digest = hashlib.sha256(resource("deploy/server-jars.txt").read_bytes()).hexdigest()
    return cache_folder(settings) / f"neo4j-{digest[:12]}"


def missing(settings: Settings) -> list[Jar]:
    """Jars that are not in the cache at their full size."""
    return [jar for jar in pinned() if not _complete(place(server_folder(settings), jar), jar)]


def place(folder: Path, jar: Jar) -> Path:
    """Where a jar lies in the cache."""
    return folder / jar.folder / jar.path.rsplit("/", 1)[-1]


def fetch(settings: Settings, progress: Progress) -> Path:
    """Folder with all jars, fetched if need be. Raises DownloadError; what was fetched stays for the next try.

    One process fetches at a time: a jar that is replaced, be it by the same, makes Java refuse the classes that it
    shares (see LocalNeo4j).
    """
    folder = server_folder(settings)
    links.keep_nameable(folder)
    if _whole(folder, settings):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "fetch.lock", lambda: progress.note("Another command fetches the server jars; waiting ...")):
        if wanted := missing(settings):
            _fetch_all(wanted, folder, _repository(settings), progress)
        if not _whole(folder, settings):
            _unpack_browser(folder)
    return folder


def _whole(folder: Path, settings: Settings) -> bool:
    return (folder / "browser" / "browser" / "index.html").exists() and not missing(settings)


def _unpack_browser(folder: Path) -> None:
    """The Browser's pages, put in place when all are there."""
    part, pages = folder / "browser" / "part", folder / "browser" / "browser"
    shutil.rmtree(part, ignore_errors=True)
    for jar in pinned():
        if jar.folder == "browser":
            with zipfile.ZipFile(place(folder, jar)) as archive:
                archive.extractall(part)
    shutil.rmtree(pages, ignore_errors=True)
    (part / "browser").replace(pages)
    shutil.rmtree(part)


def _repository(settings: Settings) -> str:
    return (settings.maven_repository or _MAVEN_CENTRAL).rstrip("/")


def _fetch_all(jars: Iterable[Jar], folder: Path, repository: str, progress: Progress) -> None:
    jars = list(jars)
    progress.note(f"Fetching {len(jars)} server jars, {sum(jar.size for jar in jars) / 1e6:.0f} MB, into {folder}")
    with (
        progress.task("Server jars", sum(jar.size for jar in jars), "bytes") as advance,
        ThreadPoolExecutor(_THREADS) as pool,
    ):
        try:
            list(pool.map(lambda jar: _fetch(jar, place(folder, jar), repository, advance), jars))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _fetch(jar: Jar, target: Path, repository: str, advance: Advance) -> None:
    """One jar: goes on where an interrupted download ended, and is renamed into place only when it is right."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    for attempt in range(_ATTEMPTS):
        try:
            download(f"{repository}/{jar.path}", part, advance, jar.size)
        except OSError as error:
            if attempt + 1 == _ATTEMPTS:
                raise DownloadError(
                    f"{jar.path} could not be fetched from {repository}: {error}\n"
                    "Check the network or set LMR_MAVEN_REPOSITORY to a mirror; the next try goes on from here."
                ) from error
            continue
        if _digest(part) == jar.sha256:
            part.replace(target)
            return
        part.unlink()
    raise DownloadError(
        f"{jar.path} from {repository} is not the pinned file (its SHA-256 differs). "
        "Set LMR_MAVEN_REPOSITORY to a mirror that serves it unchanged."
    )


def _complete(path: Path, jar: Jar) -> bool:
    return path.exists() and path.stat().st_size == jar.size


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
