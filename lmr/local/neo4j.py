"""The local Neo4j of a collection: a home folder beside the ledger, jars from the per-user cache."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psutil

if TYPE_CHECKING:
    import neo4j

from lmr.errors import ImportFailedError, ServerError, StorageError
from lmr.local import jars, java, links
from lmr.local import process as proc
from lmr.progress import Progress, Silent
from lmr.resources import resource
from lmr.settings import Settings

_OPENS = ("java.base/java.nio", "java.base/java.io", "java.base/sun.nio.ch")
_ATTEMPTS = 3
_SILENCE = 5.5  # seconds for which a user is not let in, nor may ask, after some wrong passwords
_PATIENCE = 10  # seconds in which the end of a process that has ended is told, and a connection is made
_ADVICE = {
    1: "A port may be taken, or its data damaged: then `lmr repair` makes them anew from the ledger.",
    2: "Its store could not be opened: another process may hold it, or the disk may be full or damaged.",
    3: "Its configuration was refused.",
}
_REFUSED = "Java does not take its options: look at LMR_JAVA_OPTIONS and JAVA_TOOL_OPTIONS."


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a Neo4j."""

    uri: str
    username: str
    password: str
    database: str
    http: str = ""


class LocalNeo4j(proc.LocalServer):
    """Starts, watches and stops the Neo4j in `home`/neo4j."""

    name = "Neo4j"
    program = "org.neo4j.server.CommunityEntryPoint"

    def __init__(self, home: Path, settings: Settings) -> None:
        super().__init__(home / "neo4j")
        self._settings = settings
        self._password = self.folder / "password"

    def access(self, state: proc.State) -> Access:
        """Address and credentials of the running server."""
        password = self._password.read_text(errors="replace")  # one that is damaged is refused by the server
        return Access(state.address, "neo4j", password, "neo4j", state.http)

    def start(self, progress: Progress) -> Access:
        """Reach the server, starting it if it does not run. Raises ServerError with the end of its log."""
        links.keep_nameable(self.folder)
        proc.private_folder(self.folder)
        with self.starting():
            if state := self.found(progress):
                return self.access(state)
            cached = links.plain(jars.fetch(self._settings, progress))
            self._rehearse(cached, progress)
            for stray in self.strays():
                proc.stop(stray)
            if self._swapping.exists():  # cut off in between: it begins empty, and is written anew from the ledger
                self._put_in_place(Path("nowhere"))
                self._swapping.unlink()
            progress.note("Starting Neo4j ...")
            with proc.waiting(progress, proc.LONG, f"Neo4j still starts; its log is {self.log}"):
                return self._start(cached)

    def load(self, folder: Path, nodes: dict[str, str], relationships: dict[str, str], progress: Progress) -> None:
        """Replace the whole database by what files in a folder hold, in the importer's format, and start it again.

        nodes and relationships: label or type -> file. It is made beside the present one, which is replaced only
        when it is complete. Raises ImportFailedError with what the importer said; the present database stays then.
        """
        cached, folder = links.plain(jars.fetch(self._settings, progress)), links.plain(folder)
        made = folder / "made"
        shutil.rmtree(made, ignore_errors=True)
        conf = proc.private_folder(made / "conf")
        proc.write_private(conf / "neo4j.conf", f"server.directories.data={made}/data\n")
        files = [f"--nodes={label}={folder / file}" for label, file in nodes.items()]
        files += [f"--relationships={type_}={folder / file}" for type_, file in relationships.items()]
        options = ["--id-type=integer", "--max-off-heap-memory=50%", f"--report-file={made}/report"]
        command = self._java(cached, "org.neo4j.cli.AdminTool")
        progress.note("Importing into Neo4j ...")
        done = subprocess.run(
            [*map(str, command), "database", "import", "full", "neo4j", *options, *files],
            cwd=made,
            env={**os.environ, **_surroundings(), "NEO4J_HOME": str(made), "NEO4J_CONF": str(conf)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
        if done.returncode:
            raise ImportFailedError(f"Neo4j's importer failed: {(done.stderr or done.stdout)[-1000:].strip()}")
        self.stop()
        with self.starting():
            proc.write_private(self._swapping, "")
            self._put_in_place(made / "data")
            self._swapping.unlink()
        self.start(progress)

    @property
    def _swapping(self) -> Path:
        return self.folder / "swapping"

    def _put_in_place(self, data: Path) -> None:
        """Put the databases of another data folder, or none, in the place of the present one."""
        for kind in ("databases", "transactions"):
            target, source = self.folder / "data" / kind / "neo4j", data / kind / "neo4j"
            shutil.rmtree(target, ignore_errors=True)
            if source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                source.replace(target)

    def _start(self, cached: Path) -> Access:
        previous = proc.read_state(self._state)
        for attempt in range(_ATTEMPTS):
            bolt, http = self._ports(previous if attempt == 0 else None)
            self._configure(cached, bolt, http)
            process = proc.launch(self._command(cached), self.log, _surroundings())
            state = proc.State(
                process.pid, proc.created(process), f"bolt://127.0.0.1:{bolt}", f"http://127.0.0.1:{http}"
            )
            proc.write_state(self._state, state)
            try:
                return self._wait(state, process)
            except _EndedEarlyError as error:
                taken = error.code == 1 and "already in use" in proc.tail(self.log)  # said otherwise of either port
                if not (taken or error.code == -signal.SIGABRT) or attempt + 1 == _ATTEMPTS:
                    raise
                if not taken:  # Java gave up, as it does on a damaged archive of classes: made anew later
                    _archive(java.find()[0], cached).unlink(missing_ok=True)
        raise ServerError("Neo4j did not start")

    def named(self, words: Sequence[str]) -> list[str]:
        """See LocalServer: a server whose folder has moved goes on writing to where it was, so it serves no more."""
        option = "--home-dir="
        return [word.removeprefix(option) for word in words if word.startswith(option)]

    def answers(self, state: proc.State) -> None:
        """See LocalServer."""
        self._wait(state, None)

    def contents(self) -> list[Path]:
        """See LocalServer; the password is one of what it stores."""
        return [self.folder / "data", self._password, self._swapping]

    def _ports(self, previous: proc.State | None) -> tuple[int, int]:
        """The ports of last time if they are free, so that open Browser pages go on working."""
        bolt = proc.free_port(int(previous.address.rsplit(":", 1)[1]) if previous else 0)
        http = proc.free_port(int(previous.http.rsplit(":", 1)[1]) if previous else 0)
        return bolt, http if http != bolt else proc.free_port()

    def _configure(self, cached: Path, bolt: int, http: int) -> None:
        conf = self.folder / "conf"
        pages = conf / "browser"
        if not (pages / "index.html").exists():
            part = conf / "browser.part"  # a copy that is cut short must not look whole
            shutil.rmtree(part, ignore_errors=True)
            shutil.rmtree(pages, ignore_errors=True)
            try:
                shutil.copytree(cached / "browser" / "browser", part)
            except shutil.Error as error:  # of each file
                raise StorageError(f"{conf} cannot be filled: {error.args[0][0][2]}; is the disk full?") from error
            part.rename(pages)
        for page in resource("cypher/browser").iterdir():
            shutil.copy(page, pages / page.name)
        base = f"http://localhost:{http}/browser"
        lines = {
            "server.default_listen_address": "127.0.0.1",
            "server.bolt.listen_address": f":{bolt}",
            "server.http.listen_address": f":{http}",
            "server.directories.plugins": cached / "plugins",
            "server.memory.pagecache.size": f"{max(256, min(4096, psutil.virtual_memory().total // 2**20 // 8))}m",
            "dbms.security.procedures.unrestricted": "gds.*",
            "dbms.usage_report.enabled": "false",
            "client.allow_telemetry": "false",
            "browser.post_connect_cmd": f"style {base}/lmr.grass; play {base}/lmr-guide.html",
            "browser.remote_content_hostname_whitelist": "localhost,127.0.0.1",
            "db.tx_log.rotation.retention_policy": "1 files",
            "db.tx_log.rotation.size": "32m",
            "db.tx_log.preallocate": "false",
            "internal.dbms.bolt.netty_server_shutdown_quiet_period": "0",
            "internal.dbms.bolt.netty_server_shutdown_timeout": "1s",
        }
        text = "\n".join(f"{name}={value}" for name, value in lines.items())
        proc.write_private(conf / "neo4j.conf", text + "\n")

    def _command(self, cached: Path) -> list[str | Path]:
        home = links.plain(self.folder)
        server = self._java(cached, "org.neo4j.server.CommunityEntryPoint", f":{home}/conf")
        return [*server, f"--home-dir={home}", f"--config-dir={home}/conf", "--console-mode"]

    def _java(self, cached: Path, main: str, more: str = "") -> list[str | Path]:
        """Java with one of Neo4j's programs; `more` goes to the end of its class path."""
        found, _ = java.find()
        return [found, *self._options(cached, self._classes(_archive(found, cached)), more), main]

    def _options(self, cached: Path, classes: list[str], more: str = "") -> list[str]:
        heap = self._settings.heap_mb or min(4096, psutil.virtual_memory().total // 2**20 // 4)
        return [
            *(f"--add-opens={package}=ALL-UNNAMED" for package in _OPENS),
            "--enable-native-access=ALL-UNNAMED",
            "-Djol.skipHotspotSAAttach=true",
            *([f"-Djna.tmpdir={cached}/jna"] if os.access(cached, os.W_OK) else []),  # not beside lmr's cache
            f"-XX:ErrorFile={links.plain(self.folder)}/java-error.log",
            f"-Xms{min(256, heap)}m",
            f"-Xmx{heap}m",
            *self._settings.java_options.split(),
            *classes,
            "-cp",
            f"{cached}/plugins/*:{cached}/lib/*{more}",
        ]

    def _classes(self, archive: Path) -> list[str]:
        """Java's options for the classes of an archive; none where it is empty or missing."""
        if not archive.exists() or not archive.stat().st_size:
            return []
        return [f"-XX:SharedArchiveFile={archive}", "-XX:+VerifySharedSpaces"]

    def _rehearse(self, cached: Path, progress: Progress) -> None:
        """Once for a Java: let it keep, beside the jars, the classes that Neo4j loads; starts take half the time then.

        That is Java's own sharing of class data; an archive that does not fit the Java at hand is ignored by it.
        """
        archive = _archive(java.find()[0], cached)
        if archive.exists():
            return
        with proc.locked(cached / "rehearsal.lock"):
            if archive.exists():
                return
            home = cached / "rehearsal"
            for stray in _Rehearsal(home, self._settings).strays():  # of one that was cut off
                proc.stop(stray)
            shutil.rmtree(home, ignore_errors=True)
            try:
                _Rehearsal(proc.private_folder(home), self._settings).perform(progress).replace(archive)
            finally:
                shutil.rmtree(home, ignore_errors=True)

    def _wait(self, state: proc.State, process: psutil.Popen | None) -> Access:
        """Until the server answers with our password, which is set on the very first start."""
        from neo4j.exceptions import AuthError, DriverError, Neo4jError

        if not self._password.exists():
            proc.write_private(self._password, secrets.token_urlsafe(24))
        access = self.access(state)
        begin = time.monotonic()
        while True:
            self._check_alive(state, process)
            self.check_hindered(begin, process)
            try:
                with _quiet(), _driver(state.address, access.password) as driver:
                    driver.verify_connectivity()
                _check_pages(state)  # the Browser's pages come a moment later
                return access
            except AuthError:
                try:
                    with _quiet():
                        _set_password(state.address, access.password)
                except (DriverError, Neo4jError) as error:
                    if isinstance(error, AuthError) or _too_many(error):
                        raise ServerError(
                            f"Neo4j refuses the password in {self._password}; `lmr repair` makes its data anew from "
                            "the ledger, with a new one"
                        ) from error
            except (DriverError, Neo4jError, OSError) as error:
                if _too_many(error):
                    time.sleep(_SILENCE)
            if not proc.pause(begin + self._settings.start_timeout):
                break
        raise ServerError(
            f"Neo4j (process {state.pid}) did not answer in {self._settings.start_timeout:.0f} s. Try again with more "
            "time (LMR_START_TIMEOUT=600), or after `lmr down`, which ends it.\n"
            f"The end of {self.log}:\n"
            f"{proc.tail(self.log)}"
        )

    def _check_alive(self, state: proc.State, process: psutil.Popen | None) -> None:
        if state.process():
            return
        code, told = process.wait(_PATIENCE) if process else None, proc.tail(self.log)
        if code in _ADVICE and "heap" not in told.lower():
            advice = _REFUSED if "Java Virtual Machine" in told else _ADVICE[code]
        else:
            code = None if code in _ADVICE else code
            advice = "It was killed, or there is not enough memory (try another heap: LMR_HEAP_MB=1024)."
        raise _EndedEarlyError(
            f"Neo4j ended while starting: {proc.cause(self.log)}\n{advice} `lmr doctor` checks Java, memory, disk and "
            f"ports.\nThe end of {self.log}:\n{proc.tail(self.log)}",
            code,
        )


class _Rehearsal(LocalNeo4j):
    """A server with no data that notes which classes it loads, and writes them to a file when it ends."""

    ends_within = 600.0  # writing takes half a minute of a core, and others may want it

    def __init__(self, home: Path, settings: Settings) -> None:
        super().__init__(home, replace(settings, heap_mb=512, java_options="-XX:+UseSerialGC"))
        self._made = home / "classes.jsa"
        self._cached = links.plain(jars.server_folder(settings))

    def perform(self, progress: Progress) -> Path:
        """Start, do what commands do first, end. Returns the file, which is empty where this Java shares no classes."""
        from neo4j.exceptions import DriverError, Neo4jError

        self._answers_with(self._classes(self._made))
        if self._answers_with(self._shared()):  # some Javas write an archive, and then do not take it
            progress.note("Preparing Neo4j for quick starts (once, half a minute) ...")
            self._made.unlink()
            try:
                with contextlib.suppress(ServerError, DriverError, Neo4jError):
                    access = self.start(Silent())
                    with _driver(access.uri, access.password) as driver:
                        for statement in resource("deploy/rehearsal.cypher").read_text().split(";\n"):
                            driver.execute_query(statement)
            finally:
                self.stop()
        if not (self._made.exists() and self._answers_with(self._shared())):  # killed by then, or the disk was full
            self._made.unlink(missing_ok=True)
            self._made.touch()
        return self._made

    def _answers_with(self, classes: list[str]) -> bool:
        command: list[str | Path] = [java.find()[0], *self._options(self._cached, classes), "-version"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def _shared(self) -> list[str]:
        return ["-Xshare:on", *super()._classes(self._made)]

    def _rehearse(self, cached: Path, progress: Progress) -> None:
        pass

    def _java(self, cached: Path, main: str, more: str = "") -> list[str | Path]:
        return super()._java(cached, main)  # a class path may be longer later, and have folders then

    def _classes(self, archive: Path) -> list[str]:
        return [f"-XX:ArchiveClassesAtExit={self._made}"]


class _EndedEarlyError(ServerError):
    def __init__(self, text: str, code: int | None) -> None:
        super().__init__(text)
        self.code = code


def _archive(java: Path, cached: Path) -> Path:
    """Where the classes lie that Neo4j loads with this Java; an empty file where it shares none."""
    known = java.resolve().stat()
    digest = hashlib.sha256(f"{java.resolve()} {known.st_mtime_ns} {known.st_size}".encode()).hexdigest()
    return cached / f"classes-{digest[:12]}.jsa"


def _surroundings() -> dict[str, str]:
    """A locale in which Java can name every file whose name is text."""
    present = next((os.environ[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if os.environ.get(name)), "")
    return {} if "utf" in present.lower() else {"LC_ALL": "C.UTF-8"}


def _too_many(error: Exception) -> bool:
    """Whether the server hears no more passwords for a while."""
    return str(getattr(error, "code", "")).endswith(".AuthenticationRateLimit")


def _driver(address: str, password: str) -> neo4j.Driver:
    """A driver that does not retry: the caller does, and looks in between whether the server still lives."""
    import neo4j

    return neo4j.GraphDatabase.driver(
        address,
        auth=("neo4j", password),
        connection_timeout=5,
        connection_acquisition_timeout=_PATIENCE,
        max_transaction_retry_time=0,
    )


def _check_pages(state: proc.State) -> None:
    """Raise OSError where the server serves no pages, also where another program does: it will then end by itself."""
    process, port = state.process(), urlsplit(state.http).port
    if process is None or port is None:
        return
    open_ = process.net_connections("tcp")
    if not any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in open_):
        raise OSError(f"Neo4j does not listen at {state.http} yet")


def _set_password(address: str, password: str) -> None:
    with _driver(address, "neo4j") as driver:
        change = "ALTER CURRENT USER SET PASSWORD FROM 'neo4j' TO $new"
        driver.execute_query(change, new=password, database_="system")


@contextlib.contextmanager
def _quiet():  # type: ignore[no-untyped-def]  # noqa: ANN202
    """Without the driver's own log lines about a server that is not up yet."""
    import logging

    log = logging.getLogger("neo4j")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)
