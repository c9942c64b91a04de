"""The ledger in PostgreSQL: a whole life as on SQLite, writers of many machines, what is lost, and moving there."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lmr
from lmr.errors import BusyError, CollectionError, ServerError, UsageError
from lmr.execution.local import Local
from lmr.execution.verification import verified
from lmr.jobs import move as moving
from lmr.settings import Settings, load, origins, without_password
from lmr.store.check import check
from lmr.store.graph import Graph
from lmr.store.ledger import Ledger, place_at, place_of
from lmr.store.pairs import PairRow
from lmr.store.schema import KEYS
from lmr.store.transfer import Side, sums
from tests.conftest import ROOT, Cli, forget
from tests.engines import Shaken
from tests.postgres import Server
from tests.stores.test_ledger import FOUND, add
from tests.test_execution import found, same

CHANGING = {"id", "at"}  # the collection's random name, and when a person ruled


@pytest.fixture
def address(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database, whose password the environment knows."""
    monkeypatch.setenv("LMR_LEDGER_PASSWORD", postgres.password)
    return postgres.database()


def rows(ledger: Ledger) -> dict[str, list[Any]]:
    """All that a ledger holds, by table, but for what is by chance."""
    told: dict[str, list[Any]] = {}
    for table, key in KEYS.items():
        columns = sorted(ledger.backend.columns(ledger._db, table))
        kept = [name for name in columns if not (table == "verdicts" and name == "at")]
        told[table] = list(ledger._db.execute(f"SELECT {', '.join(kept)} FROM {table} ORDER BY {key}"))  # noqa: S608
    told["meta"] = [row for row in told["meta"] if row[0] not in ("id", "stated")]
    told["last"] = [(ledger.pairs.last(), ledger.images.last_removed())]
    return told


def life(home: Path, photos: list[Path], tmp_path: Path, **settings: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Ingest, link, search, rule, evaluate, take out, back up, restore, repair; the ledger's rows, and what is found."""
    with lmr.open(home, turns="off", workers=1, **settings) as c:
        c.ingest(*photos[:-2])
        c.link()
        c.ingest(photos[-2], split="query")
        c.ingest(photos[-1])
        c.label({str(path): path.name.split("-")[0] for path in photos})
        c.link()
        hits = c.search(photos[0], top=5).hits
        assert hits
        backup = tmp_path / f"{home.name}.lmr"
        assert c.backup(backup) > 0
        c.reject(photos[0], hits[1].image.id, why="not the same")
        c.remove(photos[-1])
        c.evaluate()
        assert check(c._stores) == []
    assert lmr.restore(backup, home).aside is None
    with lmr.open(home, turns="off", workers=1, **settings) as c:
        c.link()
        c.repair()
        assert c.check()[0] == []
        told = rows(c._stores.ledger)
        return told, found(c._stores)


def test_a_whole_life_leaves_the_same_rows_and_rankings_on_both(
    running: tuple[Graph, str], servers: dict[str, str], little: Path, tmp_path: Path, address: str
) -> None:
    photos = [little / f"{place}-{k}.jpg" for place in ("bank", "chapel") for k in range(4)]
    ours, ranked = life(tmp_path / "file", photos, tmp_path)
    forget(running)
    theirs, ranked_there = life(tmp_path / "server", photos, tmp_path, ledger=address)
    assert ours.keys() == theirs.keys()
    for table in ours:
        assert ours[table] == theirs[table], table
    same(ranked, ranked_there)
    assert not (tmp_path / "server" / "ledger.sqlite").exists()
    assert load({"home": tmp_path / "server"}, {})[0].ledger == address  # remembered at first use
    with contextlib.ExitStack() as both:
        one, other = (both.enter_context(Ledger.open(tmp_path / f"{name}.lmr")) for name in ("file", "server"))
        assert rows(one) == rows(other)


def test_commands_tell_where_it_is_and_never_the_password(
    blank: Cli, little: Path, address: str, postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = address.replace("lmr@", f"lmr:{postgres.password}@")
    monkeypatch.delenv("LMR_LEDGER_PASSWORD")
    environment = {"LMR_LEDGER": whole}
    told = [blank.run("ingest", little / "bank-0.jpg", little / "bank-1.jpg", env=environment)]
    assert told[0].returncode == 0, told[0].stderr
    assert postgres.password not in (blank.home / "settings.toml").read_text()
    for words in (["status"], ["status", "--json"], ["config"], ["doctor"], ["check"], ["link"]):
        told.append(blank.run(*words, env=environment))
        assert told[-1].returncode in (0, 1), told[-1].stderr
    assert f'"address": "{address}"' in told[2].stdout and '"images": 2' in told[2].stdout
    assert "PostgreSQL 1" in told[4].stdout
    wrong = blank.run("status", env={"LMR_LEDGER_PASSWORD": "guess"})
    assert wrong.returncode == 1 and "LMR_LEDGER_PASSWORD" in wrong.stderr and "Traceback" not in wrong.stderr
    away = blank.run("status", env={"LMR_LEDGER": f"postgresql://lmr:{postgres.password}@127.0.0.1:1/none"})
    assert away.returncode == 1 and "not reachable" in away.stderr
    other = blank.run("ingest", little / "bank-0.jpg", env={"LMR_LEDGER": f"mysql://lmr:{postgres.password}@host/none"})
    assert other.returncode == 2 and "postgresql://" in other.stderr
    assert not any(
        postgres.password in text for one in (*told, wrong, away, other) for text in (one.stdout, one.stderr)
    )


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("postgresql://me:secret@host/db", "postgresql://me@host/db"),
        ("postgresql://me:s@c:r/et@host:5/db?sslmode=require", "postgresql://me@host:5/db?sslmode=require"),
        ("postgres://host/db?password=secret&user=me", "postgres://host/db?user=me"),
        ("postgresql://host/db?sslpassword=secret", "postgresql://host/db"),
        ("postgresql://host/db?p%61ssword=secret", "postgresql://host/db"),
        ("", ""),
        ("bolt://me:secret@host", "bolt://me:secret@host"),
    ],
)
def test_an_address_is_shown_without_its_password(given: str, shown: str) -> None:
    assert without_password(given) == shown


def test_a_password_is_kept_out_of_files_and_lists(tmp_path: Path) -> None:
    settings, sources = load({}, {"LMR_LEDGER": "postgresql://me:secret@host/db", "LMR_LEDGER_PASSWORD": "secret"})
    assert "secret" not in repr(origins(settings, sources))
    (tmp_path / "settings.toml").write_text('ledger = "postgresql://me:secret@host/db"')
    with pytest.raises(UsageError, match="LMR_LEDGER_PASSWORD") as refused:
        load({"home": tmp_path}, {})
    assert "secret" not in str(refused.value)
    with pytest.raises(UsageError, match="cannot be read") as refused:
        place_at("postgresql://me:sec%ret@host/db?nothing=1", Settings())
    assert "sec%ret" not in str(refused.value)


# ------------------------------------------------------------ writers, readers, what is lost


def test_a_writer_keeps_those_of_other_machines_out(address: str, tmp_path: Path) -> None:
    here, there = (place_of(load({"ledger": address})[0]) for _ in range(2))
    with Ledger.create(here, id="x") as ledger, Ledger.open(there) as other:
        assert other.last_writer[0] is False
        before = other.last_writer
        with here.writer():
            assert other.last_writer[0] and other.last_writer != before
            with pytest.raises(BusyError, match=rf"lmr {os.getpid()}@"), there.writer():
                pass
            with ledger.transaction():
                ledger.set_meta("key", "mine")
        assert not other.last_writer[0] and other.last_writer != before
        with there.writer(), other.transaction():
            other.set_meta("key", "theirs")


def test_a_writer_whose_lock_was_lost_changes_nothing_once_another_has_begun(address: str, postgres: Server) -> None:
    here, there = (place_of(load({"ledger": address})[0]) for _ in range(2))
    with Ledger.create(here, id="x") as ledger, Ledger.open(there) as other, contextlib.suppress(ServerError):
        with here.writer():
            with postgres.connect(address.rpartition("/")[2]) as db:
                db.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
            with ledger.transaction():
                ledger.set_meta("key", "alone")  # nobody else has begun
            with there.writer():
                with other.transaction():
                    other.set_meta("key", "theirs")
                with pytest.raises(BusyError, match="another has begun"), ledger.transaction():
                    ledger.set_meta("key", "mine")
            assert ledger.meta("key") == "theirs"


def test_a_lost_connection_is_told_and_the_next_use_opens_another(address: str, postgres: Server) -> None:
    with Ledger.create(place_of(load({"ledger": address})[0]), id="x") as ledger:

        def lose() -> None:
            with postgres.connect(address.rpartition("/")[2]) as db:
                db.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND pid <> pg_backend_pid()"
                )

        with pytest.raises(ServerError, match="the same command goes on"), ledger.transaction():
            ledger.set_meta("key", "lost")
            lose()
            with contextlib.suppress(ServerError):
                ledger.set_meta("other", "lost")
            ledger.set_meta("third", "must not be kept by itself")
        assert ledger.meta("key") is None and ledger.meta("third") is None
        lose()
        with pytest.raises(ServerError, match="not reachable"):
            ledger.meta("id")
        assert ledger.meta("id") == "x"


def test_rows_are_read_as_they_were_while_others_are_written(address: str) -> None:
    with Ledger.create(place_of(load({"ledger": address})[0]), id="x") as ledger:
        for k in range(200):
            add(ledger, f"{k:064}")
        images = ledger.images.all()
        assert next(images).number == 1
        with ThreadPoolExecutor(1) as other:
            other.submit(add, ledger, "f" * 64).result()
        add(ledger, "e" * 64)
        assert len(list(images)) == 199
        for _ in range(3):  # left in the middle
            next(ledger.images.all())
        with pytest.raises(ZeroDivisionError), ledger.transaction():
            left = ledger.images.all()
            next(left)
            raise ZeroDivisionError
        del left
        with ledger.transaction():
            ledger.set_meta("key", "kept")
        assert ledger.meta("key") == "kept" and ledger.counts()["images"] == 202


def test_another_persons_database_is_left_alone(address: str, postgres: Server) -> None:
    with postgres.connect(address.rpartition("/")[2]) as db:
        db.execute("CREATE TABLE meta (mine text)")
    with pytest.raises(CollectionError, match="already holds 1 other tables"):
        place_of(load({"ledger": address})[0]).create({})
    with postgres.connect(address.rpartition("/")[2]) as db:
        db.execute('CREATE SCHEMA "of its own"')
    apart = f"{address}?options=-csearch_path%3D%22of\\%20its\\%20own%22"
    with Ledger.create(place_at(apart, load({})[0]), id="x") as ledger:
        add(ledger, "a" * 64)
        assert ledger.faults()["the file"] == []


def test_numbers_are_given_as_sqlite_gives_them(place: Any) -> None:
    with Ledger.create(place, id="x") as ledger:
        a, b, c = (add(ledger, id * 64) for id in "abc")
        with ledger.transaction():
            ledger.pairs.keep(PairRow(a, b, FOUND, 1, None, 0.5, 25.0))
            ledger.pairs.keep(PairRow(b, c, FOUND, 1, None, 0.5, 25.0))
        with pytest.raises(ZeroDivisionError), ledger.transaction():
            ledger.pairs.keep(PairRow(a, c, FOUND, 1, None, 0.5, 25.0))
            raise ZeroDivisionError
        assert ledger.pairs.last() == 2
        with ledger.transaction():
            ledger.images.remove(c)  # the last image and the last pair
        assert ledger.pairs.last() == 2 and ledger.images.last_removed() == 1
        with ledger.transaction():
            assert add_inside(ledger, "d") == 3
            ledger.pairs.keep(PairRow(a, 3, FOUND, 1, None, 0.5, 25.0))
            assert ledger.pairs.set_excluded([(1, None)]) == 1
        assert ledger.pairs.last() == 4
        assert [seq for seq, _ in ledger.pairs.edges()] == [3, 4]


def add_inside(ledger: Ledger, id: str) -> int:
    return ledger.images.add(id * 64, 10, 20, "index", b"features", b"raw_global")


def test_a_killed_link_and_a_lost_server_are_completed_by_the_same_command(
    blank: Cli, little: Path, address: str, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LMR_LEDGER", address)
    photos = [little / f"{place}-{k}.jpg" for place in ("bank", "chapel", "school") for k in range(4)]
    blank("ingest", *photos)
    environment = {**os.environ, "LMR_HOME": str(blank.home), "LMR_WORKERS": "1"}
    link = subprocess.Popen([sys.executable, "-m", "lmr", "link", "--no-turns"], cwd=ROOT, env=environment)
    with Ledger.open(place_of(load({"home": blank.home})[0])) as ledger:
        while not ledger.last_writer[0] and link.poll() is None:  # it has begun
            time.sleep(0.01)
        assert len(lmr.open(blank.home, create=False)) == len(photos)  # a reader goes on
        time.sleep(1)
        link.send_signal(signal.SIGKILL)
        link.wait()
    with lmr.open(blank.home, turns="off", create=False) as c:
        for _ in range(100):
            with contextlib.suppress(BusyError), c._stores.locked():
                break
        c._stores.executor = Shaken(Local(1), verified, 1, postgres.kill)
        with pytest.raises(ServerError, match="the same command goes on"):
            c.link()
        postgres.start()
        c._stores.executor = Local(1)
        assert c.link().accepted > 0
        assert check(c._stores) == []
        assert c.search(photos[0], top=3).hits


# ------------------------------------------------------------ moving


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """The folder of a ledger with something in each table."""
    home = tmp_path / "home"
    home.mkdir()
    with Ledger.create(home / "ledger.sqlite", id="me", version="3") as ledger:
        numbers = [add(ledger, f"{k:064x}") for k in range(30)]
        with ledger.transaction():
            for a, b in itertools.pairwise(numbers):
                ledger.pairs.keep(PairRow(a, b, FOUND, 1, None, 0.1 + a / 7, 1e-9 / a))
            ledger.images.remove(numbers[-1])
            ledger.verdicts.put("a" * 64, "b" * 64, "rejected", "ein Grund, 漢字 \U0001f5ff", "")
            ledger.descriptors.set_model("m", bytes(range(256)) * 99)
            ledger.descriptors.put_proposed([(1, -(2**63), -np.inf), (2, 2**63 - 1, 0.25)])
            ledger.files.put_skipped([b"/\xff"], [(b"/\xff", "kind", 3, "x")])
            ledger.identities.expect("p" * 64, "a" * 64)
    return home


def test_a_ledger_moves_there_and_back(filled: Path, address: str, postgres: Server) -> None:
    (filled / "settings.toml").write_text("# mine\ntop = 20\n")
    with Ledger.open(filled / "ledger.sqlite") as ledger:
        before = rows(ledger)
    moved = lmr.move(address, filled)
    assert moved.target == address and moved.rows["images"] == 29
    assert load({"home": filled}, {})[0].ledger == address
    assert "# mine\ntop = 20\n" in (filled / "settings.toml").read_text()
    with Ledger.open(place_of(load({"home": filled})[0])) as ledger:
        assert rows(ledger) == before
        assert ledger.pairs.last() == 29
        with ledger.transaction():
            assert add_inside(ledger, "e") == 30
    with Ledger.open(filled / "ledger.sqlite") as left, pytest.raises(CollectionError, match="was moved from"):
        left.check_here()
    with pytest.raises(UsageError, match="already"):
        lmr.move(address, filled)
    back = lmr.move("sqlite", filled)
    assert back.rows["images"] == 30 and load({"home": filled}, {})[0].ledger == ""
    assert (filled / "settings.toml").read_text() == "# mine\ntop = 20\n"
    with Ledger.open(filled / "ledger.sqlite") as ledger:
        ledger.check_here()
        assert ledger.faults()["the file"] == [] and ledger.counts()["images"] == 30
        assert ledger.path.stat().st_mode & 0o777 == 0o600
    assert len(list(filled.glob("ledger.sqlite.moved-*"))) >= 1
    with pytest.raises(UsageError, match="was moved to"):
        lmr.move(address, filled)
    other = postgres.database()
    with Ledger.create(place_at(other, load({})[0]), id="another"):
        pass
    with pytest.raises(UsageError, match="of another collection"):
        lmr.move(other, filled)


@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
@pytest.mark.parametrize("at", ["copy_all", "remember", "_mark"])
def test_a_move_that_was_killed_ends_as_if_it_had_not_been(
    filled: Path, address: str, monkeypatch: pytest.MonkeyPatch, at: str, back: bool
) -> None:
    target = address
    with Ledger.open(filled / "ledger.sqlite") as ledger:
        before = rows(ledger)
    if back:
        lmr.move(address, filled)
        target = "sqlite"
    process = os.fork()
    if not process:
        doing = getattr(moving, at)

        def killed(*given: Any, **named: Any) -> Any:
            if at == "copy_all":
                doing(*given, **named)
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(moving, at, killed)
        with contextlib.suppress(BaseException):
            lmr.move(target, filled)
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(process, 0)[1]) == signal.SIGKILL
    moved = load({"home": filled}, {})[0].ledger == ("" if back else address)
    assert moved == (at == "_mark")
    with Ledger.open(place_of(load({"home": filled})[0])) as ledger:
        if moved:
            with pytest.raises(CollectionError, match="cut short"):
                ledger.check_here()
        else:
            assert rows(ledger) == before
    assert bool(lmr.move(target, filled).rows) == (at != "_mark")
    with Ledger.open(place_of(load({"home": filled})[0])) as ledger:
        ledger.check_here()
        assert rows(ledger) == before
    with pytest.raises(UsageError, match="already"):
        lmr.move(target, filled)


def test_a_move_says_what_to_do(filled: Path, address: str, postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    cli = Cli(filled)
    monkeypatch.setenv("LMR_LEDGER", address)
    refused = cli.run("move", "sqlite")
    assert refused.returncode == 2 and "LMR_LEDGER" in refused.stderr and "settings.toml" in refused.stderr
    refused = cli.run("ingest", __file__)
    assert refused.returncode == 1 and "lmr move" in refused.stderr
    monkeypatch.delenv("LMR_LEDGER")
    assert cli.run("move", "elsewhere").returncode == 2
    told = cli.json("move", address)
    assert told["target"] == address and told["rows"]["pairs"] == 28
    assert json.dumps(told).find(postgres.password) < 0
    assert cli.json("status")["counts"]["images"] == 29


def test_what_arrives_otherwise_is_noticed(filled: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = place_at(address, load({})[0])
    insert = type(place).insert

    def careless(self: Any, db: Any, table: str, columns: Any, given: Iterator[Any]) -> None:
        insert(self, db, table, columns, [row for row in given if row[0] != 7])

    monkeypatch.setattr(type(place), "insert", careless)
    with pytest.raises(CollectionError, match="is not what was written"):
        lmr.move(address, filled)
    assert not place.exists() and load({"home": filled}, {})[0].ledger == ""
    with Ledger.open(filled / "ledger.sqlite") as ledger:
        ledger.check_here()
        monkeypatch.undo()
        side = Side(ledger.backend, ledger._db)
        columns = ledger.backend.columns(ledger._db, "pairs")
        assert sums(side, "pairs", columns).rows == 28
