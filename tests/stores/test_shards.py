"""Features in shards: on folders and S3, beside both kinds of ledger; damage, what is left, what is another's."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lmr
from lmr.errors import CollectionError, StorageError, UsageError
from lmr.jobs import move_features
from lmr.settings import Settings, load, storage_address, without_password
from lmr.store import shard_care, shards
from lmr.store.backend import Backend
from lmr.store.difference import Difference
from lmr.store.ledger import Ledger, place_at
from lmr.store.manifest import STORAGE, Manifest
from lmr.store.shard_file import SCHEMA, packed
from lmr.store.shards import Row, Shard, Shards
from lmr.store.storage import Storage
from tests.postgres import Server
from tests.s3 import S3, SECRET


class Place:
    """A storage, and its files behind lmr's back."""

    def __init__(self, address: str, s3: S3 | None) -> None:
        self.address, self.s3, self.folder = address, s3, "lmr-me"

    @property
    def files(self) -> dict[str, int]:
        return Storage(self.address, "me").sizes()

    def put(self, name: str, data: bytes) -> None:
        if self.s3 is None:
            Path(self.address, self.folder, name).write_bytes(data)
        else:
            self.s3.put(self.address, f"{self.folder}/{name}", data)

    def get(self, name: str) -> bytes:
        if self.s3 is None:
            return Path(self.address, self.folder, name).read_bytes()
        return self.s3.get(self.address, f"{self.folder}/{name}")

    def delete(self, name: str) -> None:
        if self.s3 is None:
            Path(self.address, self.folder, name).unlink()
        else:
            self.s3.delete(self.address, f"{self.folder}/{name}")


@pytest.fixture(params=["folder", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return Place(str(tmp_path / "shared"), None)
    s3: S3 = request.getfixturevalue("s3")
    return Place(s3.bucket(), s3)


def begun(place: Path | Backend, storage: Place) -> Ledger:
    Storage(storage.address, "me").begin()
    return Ledger.create(place, id="me", **{STORAGE: storage.address})


@pytest.fixture
def ledger(tmp_path: Path, storage: Place) -> Iterator[Ledger]:
    with begun(tmp_path / "ledger.sqlite", storage) as ledger:
        yield ledger


def data_of(id: str) -> tuple[bytes, bytes]:
    rng = np.random.default_rng(int(id, 16) % 2**32)
    return rng.bytes(int(rng.integers(0, 3000))), rng.bytes(int(rng.integers(0, 900)))


def add(ledger: Ledger, *names: int) -> list[int]:
    """Images in one transaction, so in one shard; their numbers."""
    with ledger.transaction():
        ids = [f"{name:064x}" for name in names]
        return [ledger.images.add(id, 10, 20, "index", *data_of(id)) for id in ids]


def whole(ledger: Ledger) -> dict[str, tuple[bytes, bytes]]:
    """What each image has, read together, and one by one the same."""
    images = list(ledger.images.all())
    numbers = [image.number for image in images][::-1]
    both = zip(numbers, ledger.features.locals(numbers), ledger.features.raw_globals(numbers))
    found = {number: (local, raw) for number, local, raw in both}
    for number, (local, raw) in found.items():
        assert (ledger.features.local(number), ledger.features.raw_global(number)) == (local, raw)
    return {image.id: found[image.number] for image in images}


def right(ledger: Ledger) -> bool:
    return all(data == data_of(id) for id, data in whole(ledger).items())


def test_features_are_in_the_storage_and_small_rows_in_the_ledger(place: Path | Backend, storage: Place) -> None:
    with begun(place, storage) as ledger:
        numbers = add(ledger, *range(1, 8)) + add(ledger, *range(20, 23))
        assert right(ledger) and not any(shard_care.faults(ledger)) and not any(ledger.faults().values())
        assert [(one.shard.photos, one.used) for one in ledger.manifest.all()] == [(7, 7), (3, 3)]
        assert set(storage.files) == {"about.txt", *(one.shard.name for one in ledger.manifest.all())}
        kept = ledger._db.execute(
            "SELECT max(length(features.data)), max(length(materials.data)) FROM features, materials"
        )
        assert kept.fetchone() == (0, 0) or kept.fetchone() is None
        assert ledger.features.mean_bytes() == sum(one.shard.size for one in ledger.manifest.all()) / 10
        assert ledger.features.has(numbers[0]) and ledger.features.any() and ledger.count("index_photos") == 10
        with pytest.raises(CollectionError, match="lacks the local features of image 99"):
            ledger.features.local(99)
        with ledger.transaction():  # what was just put is read as if it were there, and taken out again
            coming = ledger.images.add("f" * 64, 1, 1, "index", b"new", b"raw")
            assert (ledger.features.local(coming), ledger.features.raw_global(coming)) == (b"new", b"raw")
            ledger.features.put(numbers[0], *data_of(f"{1:064x}"))
            ledger.images.remove(coming)
        assert right(ledger) and ledger.manifest.all()[-1].shard.photos == 1
    with Ledger.open(place) as again:
        assert right(again)


def test_what_fails_in_a_transaction_leaves_nothing_in_the_ledger(ledger: Ledger, storage: Place) -> None:
    add(ledger, 1)
    with pytest.raises(ZeroDivisionError), ledger.transaction():
        ledger.images.add("e" * 64, 1, 1, "index", b"never", b"kept")
        raise ZeroDivisionError
    with ledger.transaction():
        ledger.set_meta("x", "y")
    assert len(whole(ledger)) == 1 and len(ledger.manifest.all()) == 1 and len(storage.files) == 2


def test_the_same_photos_make_the_same_file(tmp_path: Path, storage: Place) -> None:
    for name in "ab":
        with begun(tmp_path / f"{name}.sqlite", storage) as ledger:
            add(ledger, 1, 2, 3)
            shard = ledger.manifest.all()[0].shard
    assert len(storage.files) == 2
    assert hashlib.sha256(storage.get(shard.name)).hexdigest() == shard.sha256
    table = pq.read_table(pa.BufferReader(storage.get(shard.name)))  # as anybody reads it
    assert table["id"].to_pylist() == [f"{k:064x}" for k in (1, 2, 3)]
    assert [*zip(table["local"].to_pylist(), table["raw_global"].to_pylist())] == [data_of(f"{k:x}") for k in (1, 2, 3)]


def test_a_photo_is_read_by_its_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Row(f"{k:064x}", np.random.default_rng(k).bytes(200_000), b"raw" * 20_000) for k in range(40)]
    Storage(str(tmp_path), "me").begin()
    own = Shards(lambda: "me")
    shard = own.write(str(tmp_path), rows)
    monkeypatch.setattr(shards, "_KEPT", 10 * 200_000)
    file = Path(tmp_path, "lmr-me", shard.name)
    data = bytearray(file.read_bytes())
    assert data.count(rows[7].local) == 1
    where = data.index(rows[7].local)
    data[: where - 40] = bytes(where - 40)  # all before it is gone, and nobody notices
    data[where + 200_000 : data.index(rows[8].local)] = bytes(data.index(rows[8].local) - where - 200_000)
    file.write_bytes(data)
    assert own.read({shard: [7]}, "local") == {(shard, 7): rows[7].local}
    file.write_bytes(packed("me", rows))
    for k in range(40):
        own.read({shard: [k]}, "local")
        assert own._held == sum(map(len, own._kept.values())) <= shards._KEPT
    assert list(own._kept) == [(shard.sha256, k, "local") for k in range(30, 40)]


def test_damage_is_told_by_check_and_by_reading(ledger: Ledger, storage: Place) -> None:
    a, b = add(ledger, 1, 2)
    add(ledger, 3)
    first = ledger.manifest.all()[0].shard
    data = storage.get(first.name)
    place = data.index(data_of(f"{2:064x}")[0][:50])
    cases = {
        "bytes changed": data[:place] + b"?" + data[place + 1 :],
        "cut": data[:-9],
        "another's": packed("me", [Row("0" * 64, b"x" * 9, b"y")] * 2).to_pybytes(),
        "no Parquet": bytes(len(data)),
    }
    for what, damaged in cases.items():
        storage.put(first.name, damaged)
        with Ledger.open(ledger.path) as other:
            with pytest.raises(CollectionError, match=r"damaged.*lmr check"):
                other.features.locals([a, b, 3])
            (found,) = shard_care.faults(other)
            assert found.count == 1 and first.name in found.examples[0], what
    with pytest.raises(CollectionError, match="other rows"):  # a bomb: something small that is large when it is read
        Shards(lambda: "me").read({_compressed(storage, first): [0]}, "local")
    storage.delete(first.name)
    with Ledger.open(ledger.path) as other:
        with pytest.raises(CollectionError, match=rf"{first.name} is missing.*lmr check"):
            other.features.local(a)
        assert [one.where for one in shard_care.faults(other)] == ["storage"]
        assert shard_care.missing(other) == [f"{first.name} in {storage.address}"]
        assert other.features.local(3) == data_of(f"{3:064x}")[0]
    storage.put(first.name, data)
    with Ledger.open(ledger.path) as other:
        assert right(other) and not any(shard_care.faults(other)) and not shard_care.missing(other)


def _compressed(storage: Place, like: Shard) -> Shard:
    into = pa.BufferOutputStream()
    table = pa.table({"id": ["0"], "local": [bytes(10**7)], "raw_global": [b""]})
    pq.write_table(table.cast(SCHEMA), into, compression="zstd", use_dictionary=False)
    data = into.getvalue().to_pybytes()
    storage.put("bomb.parquet", data)
    assert pq.ParquetFile(into.getvalue()).metadata.row_group(0).column(1).total_uncompressed_size > 10**6
    made = Shard(storage.address, "bomb", len(data), 1)
    assert made.name == "bomb.parquet" and len(data) < 10**5
    return made


def test_repair_takes_what_is_lmrs_own_and_of_no_use_and_nothing_else(
    ledger: Ledger, storage: Place, tmp_path: Path
) -> None:
    numbers = add(ledger, *range(1, 41))
    add(ledger, *range(50, 90))
    first, second = (one.shard.name for one in ledger.manifest.all())
    theirs = {
        "holiday.jpg": b"a photo",
        f"{'a' * 64}.parquet": b"named like ours, and not a shard",
        f"{'b' * 64}.parquet": packed("another", [Row("0" * 64, b"", b"")]).to_pybytes(),
        "notes.parquet": packed("me", [Row("0" * 64, b"", b"")]).to_pybytes(),
    }
    for name, data in theirs.items():
        storage.put(name, data)
    left = Shards(lambda: "me").write(storage.address, [Row("0" * 64, b"of an ingest", b"that was cut")])
    storage.put(f"{'c' * 64}.parquet.part", b"cut")
    assert [name for _, name in shard_care.unused(ledger, tmp_path)] == sorted([left.name, f"{'c' * 64}.parquet.part"])
    (tmp_path / shard_care.NEXT).touch()  # another ledger may refer to it
    assert shard_care.unused(ledger, tmp_path) == []
    (tmp_path / shard_care.NEXT).unlink()
    with ledger.transaction():
        for number in numbers[:25]:
            ledger.images.remove(number)
    with Ledger.open(ledger.path) as reader:
        stale = reader.features._db.execute("SELECT shard FROM features").fetchall()
        assert stale and right(reader)
        shard_care.collect(ledger, tmp_path)  # more than half of the first are gone: the others are written anew
        reader.shards._kept.clear()
        reader.shards._open.clear()
        assert right(reader)
    assert right(ledger) and len(whole(ledger)) == 55
    now = {one.shard.name: one.used for one in ledger.manifest.all()}
    assert first not in now and now.pop(second) == 40 and list(now.values()) == [15]
    assert set(storage.files) == {"about.txt", second, *now, *theirs}
    assert all(storage.get(name) == data for name, data in theirs.items())
    before = storage.files
    shard_care.collect(ledger, tmp_path)
    assert storage.files == before  # nothing is left to do


def test_a_reader_asks_again_where_a_shard_was_replaced_meanwhile(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = add(ledger, *range(1, 5))
    read = Shards.read

    def late(self: Shards, *given: Any) -> Any:
        monkeypatch.setattr(Shards, "read", read)
        with Ledger.open(ledger.path) as other:
            with other.transaction():
                for number in numbers[1:]:
                    other.images.remove(number)
            shard_care.collect(other, tmp_path)
        return read(self, *given)

    monkeypatch.setattr(Shards, "read", late)
    assert ledger.features.local(numbers[0]) == data_of(f"{1:064x}")[0]


def test_threads_read_the_same(ledger: Ledger) -> None:
    for k in range(6):
        add(ledger, *range(10 * k + 1, 10 * k + 8))
    wrong = threading.Event()

    def each(_: int) -> None:
        if not right(ledger):
            wrong.set()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(each, range(8)))
    assert not wrong.is_set()


def test_a_folder_that_is_away_is_told_and_not_made(tmp_path: Path) -> None:
    with begun(tmp_path / "ledger.sqlite", Place(str(tmp_path / "shared"), None)) as ledger:
        (number,) = add(ledger, 1)
        (tmp_path / "shared").rename(tmp_path / "unmounted")
        with Ledger.open(ledger.path) as other, pytest.raises(StorageError, match="is that disk mounted"):
            other.features.local(number)
        with pytest.raises(StorageError, match="is that disk mounted"):
            add(ledger, 2)
        assert [one.what for one in shard_care.faults(ledger)] == ["it cannot be read"]
        assert not (tmp_path / "shared").exists()
        (tmp_path / "unmounted").rename(tmp_path / "shared")
        add(ledger, 2)
        assert right(ledger)
    with pytest.raises(StorageError, match="nowhere is not there"):
        Storage(str(tmp_path / "nowhere" / "shared"), "me").begin()


def test_a_server_that_is_away_is_told_and_the_same_goes_on(tmp_path: Path, s3: S3) -> None:
    with begun(tmp_path / "ledger.sqlite", Place(s3.bucket(), s3)) as ledger:
        (number,) = add(ledger, 1)
        with Ledger.open(ledger.path) as other:
            other.features.raw_global(number)
            s3.way.cut()
            try:
                with ThreadPoolExecutor() as pool:  # each of these waits for some seconds
                    calls = (lambda: other.features.local(number), lambda: add(ledger, 2), lambda: missing(other))
                    waiting = [pool.submit(call) for call in calls]
                    looking = pool.submit(lambda: [one.what for one in faults(other)])
                assert looking.result() == ["it cannot be read"]
                for one in waiting:
                    assert isinstance(one.exception(), StorageError), one
                    assert "cannot be" in str(one.exception()) and "the same command goes on" in str(one.exception())
            finally:
                s3.way.mend()
            assert other.features.local(number) == data_of(f"{1:064x}")[0]
        add(ledger, 2)
        assert right(ledger) and len(whole(ledger)) == 2


def faults(ledger: Ledger) -> list[Difference]:
    with Ledger.open(ledger.path) as own:
        return list(shard_care.faults(own))


def missing(ledger: Ledger) -> list[str]:
    with Ledger.open(ledger.path) as own:
        return shard_care.missing(own)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("s3://KEY:SEC%2FRET@bucket/prefix?region=eu-west-1", "s3://bucket/prefix?region=eu-west-1"),
        ("s3://KEY:SEC/R@ET@bucket/prefix", "s3://bucket/prefix"),
        ("s3://bucket/a:b@c", "s3://bucket/a:b@c"),
        ("s3://bucket/x?secret_key=a&scheme=http&s%65cret=b", "s3://bucket/x?scheme=http"),
        ("abfs://container@account.dfs.core.windows.net/x", "abfs://container@account.dfs.core.windows.net/x"),
        ("abfss://container@account.example/x?sas_token=a", "abfss://container@account.example/x"),
        ("/shared/a:b@c", "/shared/a:b@c"),
    ],
)
def test_no_password_is_shown(given: str, shown: str) -> None:
    assert without_password(given) == shown == without_password(shown)


def test_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert (
        storage_address("x/") == str(tmp_path / "x")
        and storage_address("") == ""
        and storage_address("s3://b/p/") == "s3://b/p"
    )
    with pytest.raises(UsageError, match="s3://"):
        storage_address("ftp://me:secret@host/x")
    with pytest.raises(UsageError, match="cannot be opened") as told:
        Storage("s3://KEY:SECRET@bucket/x?no=such", "me")
    assert "SECRET" not in str(told.value)
    (tmp_path / "settings.toml").write_text('storage = "s3://KEY:SECRET@bucket/x"\n')
    with pytest.raises(UsageError, match="holds a password"):
        load({"home": tmp_path}, {})


def test_credentials_of_the_setting_are_used_and_not_kept(
    tmp_path: Path, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = s3.bucket()
    whole_address = shown.replace("s3://", f"s3://tests:{SECRET}@")
    for name in s3.environment:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with lmr.open(tmp_path / "home", storage=whole_address) as c:
        ledger = c._stores.ledger
        assert ledger.manifest.storage == shown
        add(ledger, 1)
        assert right(ledger)
    assert SECRET.encode() not in b"".join(
        path.read_bytes() for path in (tmp_path / "home").iterdir() if path.is_file()
    )
    with lmr.open(tmp_path / "home", storage=whole_address) as c:
        assert right(c._stores.ledger)


# ------------------------------------------------------------ moving


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A collection of seven images with features in its ledger, of which two make a shard."""
    monkeypatch.setattr("lmr.jobs.move_features.PHOTOS", 2)
    home = tmp_path / "home"
    home.mkdir()
    with Ledger.create(home / "ledger.sqlite", id="me") as ledger:
        add(ledger, *range(1, 8))
    return home


def moved_to(home: Path, target: str, backend: Path | Backend | None = None) -> dict[str, Any]:
    with Ledger.open(backend or home / "ledger.sqlite") as ledger:
        assert right(ledger) and len(whole(ledger)) == 7 and not any(shard_care.faults(ledger))
        assert ledger.manifest.count_elsewhere(ledger.manifest.storage) == 0
        assert not any(ledger.faults().values())
        assert ledger.manifest.storage == target
        return {one.shard.storage: one.used for one in ledger.manifest.all()}


def test_features_move_there_on_and_back(home: Path, storage: Place, tmp_path: Path) -> None:
    done = lmr.move(home=home, storage=storage.address)
    assert (done.source, done.target, done.rows) == ("ledger", storage.address, {"features": 7})
    assert moved_to(home, storage.address).keys() == {storage.address} and len(storage.files) == 5
    with pytest.raises(UsageError, match="already"):
        lmr.move(home=home, storage=storage.address)
    storage.put("holiday.jpg", b"a photo")
    other = Place(str(tmp_path / "other"), None)
    assert lmr.move(home=home, storage=other.address).source == storage.address
    assert moved_to(home, other.address).keys() == {other.address} and storage.files.keys() == {
        "about.txt",
        "holiday.jpg",
    }
    assert lmr.move(home=home, storage="ledger").rows == {"features": 7}
    assert moved_to(home, "") == {} and list((tmp_path / "other").iterdir()) == []
    assert storage.get("holiday.jpg") == b"a photo"


def test_a_ledger_on_a_server_has_shards_too(
    home: Path, postgres: Server, storage: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LMR_LEDGER_PASSWORD", postgres.password)
    address = postgres.database()
    lmr.move(home=home, storage=storage.address)
    assert lmr.move(address, home).rows["shards"] == 4
    place = place_at(address, Settings(ledger_password=postgres.password))
    assert moved_to(home, storage.address, place).keys() == {storage.address}
    lmr.move(home=home, storage="ledger")
    assert moved_to(home, "", place) == {}
    lmr.move(home=home, storage=storage.address)
    assert moved_to(home, storage.address, place).keys() == {storage.address}


def test_what_is_not_what_was_written_is_noticed_before_anything_is_given_up(
    home: Path, storage: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Storage.put

    def careless(self: Storage, name: str, data: pa.Buffer) -> None:
        put(self, name, pa.py_buffer(data.to_pybytes()[:-1] + b"?"))

    monkeypatch.setattr(Storage, "put", careless)
    with pytest.raises(CollectionError, match="not what is there"):
        lmr.move(home=home, storage=storage.address)
    with Ledger.open(home / "ledger.sqlite") as ledger:
        assert right(ledger) and ledger.manifest.count_elsewhere("") == 0
    monkeypatch.setattr(Storage, "put", put)
    lmr.move(home=home, storage=storage.address)
    moved_to(home, storage.address)


def test_a_backup_has_no_features_and_a_restore_looks_for_them(home: Path, storage: Place, tmp_path: Path) -> None:
    lmr.move(home=home, storage=storage.address)
    with Ledger.open(home / "ledger.sqlite") as ledger:
        ledger.copy_to(tmp_path / "backup.lmr")
        name = ledger.manifest.all()[1].shard.name
    data = storage.get(name)
    storage.delete(name)
    with pytest.raises(UsageError, match=rf"1 are missing or cut, such as {name}.*Nothing was restored"):
        lmr.restore(tmp_path / "backup.lmr", tmp_path / "anew")
    assert not (tmp_path / "anew" / "ledger.sqlite").exists()
    storage.put(name, data)
    lmr.restore(tmp_path / "backup.lmr", tmp_path / "anew")
    moved_to(tmp_path / "anew", storage.address)


def test_a_setting_that_names_another_place_is_told(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    with pytest.raises(CollectionError, match=rf"lie in its ledger.*lmr move --storage {first}"):
        lmr.open(home, storage=first)
    lmr.move(home=home, storage=first)
    with pytest.raises(CollectionError, match=rf"lie in {first}.*{second}"):
        lmr.open(home, storage=second)
    for given in ({}, {"storage": first}, {"storage": os.path.relpath(first)}):
        lmr.open(home, **given).close()
    monkeypatch.setenv("LMR_STORAGE", first)
    with pytest.raises(UsageError, match="LMR_STORAGE says"):
        lmr.move(home=home, storage=second)
    with pytest.raises(UsageError, match="either"):
        lmr.move(home=home)


KILLED = {  # whose method, and after how many calls the process is killed in the next
    "set_meta": (Ledger, 0),
    "put": (Storage, 2),
    "add": (Manifest, 1),
    "drop_unused": (move_features, 0),
    "end": (Storage, 0),
    "shrink": (Ledger, 0),
}


@pytest.mark.parametrize("at", KILLED)
@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
def test_a_move_that_was_killed_goes_on(home: Path, tmp_path: Path, at: str, back: bool) -> None:
    folder = str(tmp_path / "shared")
    if back:
        lmr.move(home=home, storage=folder)
    target = "ledger" if back else folder
    process = os.fork()
    if not process:
        owner, time = KILLED[at]
        doing, left = getattr(owner, at), iter(range(time))

        def killed(*given: Any, **named: Any) -> Any:
            done = doing(*given, **named)
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return done

        setattr(owner, at, killed)
        with contextlib.suppress(BaseException):
            lmr.move(home=home, storage=target)
        os._exit(0)
    status = os.waitpid(process, 0)[1]
    never = ("put", "add", "shrink") if back else ("end",)
    assert os.WIFEXITED(status) if at in never else os.WTERMSIG(status) == signal.SIGKILL
    with Ledger.open(home / "ledger.sqlite") as ledger:  # whole at any moment, and new ones go to the target
        assert right(ledger) and len(whole(ledger)) == 7 and not any(shard_care.faults(ledger))
        assert ledger.manifest.storage == ("" if back == (at != "set_meta") else folder)
    with contextlib.suppress(UsageError):  # all was done
        lmr.move(home=home, storage=target)
    assert moved_to(home, "" if back else folder).keys() == (set() if back else {folder})
    found = {path.name for path in Path(folder).rglob("*") if path.is_file()}
    with Ledger.open(home / "ledger.sqlite") as ledger:
        assert found == (set() if back else {"about.txt", *(one.shard.name for one in ledger.manifest.all())})
