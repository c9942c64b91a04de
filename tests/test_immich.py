"""Places as albums in immich, on a stand-in that answers as its published OpenAPI document says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import lmr
from lmr.jobs.exchange import immich_server
from lmr.jobs.exchange.immich_server import Immich as Client
from tests.conftest import Cli, on_servers
from tests.immich import KEY, OTHER, Immich, served
from tests.places import make_place

pytest.importorskip("httpx")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("immich")
    (folder / "photos").mkdir()
    for place in ("gate", "tower", "bridge"):
        for path in make_place(folder / "made", place):
            shutil.move(path, folder / "photos")
    shutil.copy(folder / "photos" / "gate-1.jpg", folder / "photos" / "copy of gate.jpg")
    return folder


@pytest.fixture(scope="module")
def c(home: Path, running) -> Iterator[lmr.Collection]:
    with on_servers(running), lmr.open(home / "lmr", workers=1) as collection:
        collection.ingest(home / "photos")
        collection.link()
        photos = sorted((home / "photos").glob("*-*.jpg"))
        collection.label({path: "Old gate" for path in photos if "gate" in path.name})
        collection.label({path: "Tower" for path in photos if "tower" in path.name})
        collection.cluster("components", min_weight=30)
        assert len(collection.clusters()) == 3
        yield collection


@pytest.fixture(params=[2, 3])
def immich(request: pytest.FixtureRequest, home: Path) -> Immich:
    """All photos but one of the tower's."""
    server = Immich(request.param)
    for path in sorted((home / "photos").glob("*-*.jpg")):
        if path.name != "tower-2.jpg":
            server.hold(path.read_bytes())
    return server


def test_albums_are_told_made_and_completed(c: lmr.Collection, home: Path, immich: Immich) -> None:
    held = {sha1: one["id"] for sha1, one in immich.assets.items()}
    mine = immich.album("Tower")
    theirs = immich.album("Old gate", owner=OTHER)
    with served(immich) as address:
        told = c.export_immich(f"{address}/api/", KEY)
        assert not immich.changes and not told.done
        plan = {one.name: (one.made, one.before, one.added, one.sent) for one in told.albums}
        (unnamed,) = plan.keys() - {"Old gate", "Tower"}
        assert plan == {"Old gate": (True, 0, 2, 0), "Tower": (False, 0, 1, 0), unnamed: (True, 0, 2, 0)}
        assert unnamed.startswith("Place (")
        missing = str((home / "photos" / "tower-2.jpg").resolve())
        assert told.missing == [missing] and not told.left_out

        done = c.export_immich(address, KEY, apply=True)
        assert {one.name: (one.made, one.before, one.added, one.sent) for one in done.albums} == plan
        assert len(immich.albums) == 4 and immich.albums[theirs]["assets"] == []
        assert len(immich.albums[mine]["assets"]) == 1
        made = [a for a in immich.albums.values() if a["albumName"] == "Old gate" and a["id"] != theirs]
        assert len(made) == 1 and set(made[0]["assets"]) <= set(held.values()) and "lmr" in made[0]["description"]

        before = len(immich.changes)
        again = c.export_immich(address, KEY, apply=True)
        assert [one.added for one in again.albums] == [0, 0, 0] and len(immich.changes) == before

        immich.album("Mine", *immich.albums[mine]["assets"])  # what is the user's stays, too
        sent = c.export_immich(address, KEY, apply=True, upload=True)
        assert {one.name: one.sent for one in sent.albums}["Tower"] == 1 and not sent.left_out
        assert len(immich.albums[mine]["assets"]) == 2 and len(immich.assets) == 6
        before = len(immich.changes)
        c.export_immich(address, KEY, apply=True, upload=True)
        assert len(immich.changes) == before
    assert not [method for method, _ in immich.asked if method in ("DELETE", "PATCH")]


def test_a_copy_is_found_too_and_what_lies_in_the_trash_is_left(c: lmr.Collection, home: Path) -> None:
    immich = Immich(3)
    copy = home / "photos" / "copy of gate.jpg"
    immich.hold(copy.read_bytes())
    immich.hold((home / "photos" / "gate-2.jpg").read_bytes(), trashed=True)
    (place,) = (one.id for one in c.clusters() if one.landmarks == {"Old gate": 1.0})
    with served(immich) as address:
        done = c.export_immich(address, KEY, place=place[:8], apply=True)
    assert [(one.name, one.photos, one.added) for one in done.albums] == [("Old gate", 1, 1)]
    assert list(done.left_out.values()) == ["it lies in immich's trash"] and not done.missing


def test_two_albums_of_one_name_are_left_alone(c: lmr.Collection, immich: Immich) -> None:
    immich.album("Tower")
    immich.album("Tower")
    with served(immich) as address:
        done = c.export_immich(address, KEY, apply=True)
    assert done.left_out["Tower"] == "you have 2 albums of this name in immich"
    assert "Tower" not in {one.name for one in done.albums} and len(immich.albums) == 4


def test_more_photos_than_a_request_takes(c: lmr.Collection, immich: Immich, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(immich_server, "AT_ONCE", 1)
    with served(immich) as address:
        assert sum(one.added for one in c.export_immich(address, KEY, apply=True).albums) == 5
        assert sum(one.before for one in c.export_immich(address, KEY, apply=True).albums) == 5
    assert sorted(len(one["assets"]) for one in immich.albums.values()) == [1, 2, 2]


def test_what_is_refused_is_told_and_what_is_there_is_not_counted(c: lmr.Collection, immich: Immich) -> None:
    """Photos that a search does not show may be in an album all the same, and one may be gone meanwhile."""
    ids = [one["id"] for one in immich.assets.values()]
    hidden = immich.album("Old gate", *ids)
    refused = [{"id": ids[0], "success": False, "error": "no_permission\x1b[31m"}]
    answers = {
        "/api/search/metadata": (200, {"assets": {"items": [], "nextPage": None}}, {}),
        f"/api/albums/{immich.album('Tower')}/assets": (200, refused, {}),
    }
    immich.instead = answers.get
    with served(immich) as address:
        done = c.export_immich(address, KEY, apply=True)
    assert {one.name: one.added for one in done.albums if one.name == "Old gate"} == {}
    assert done.left_out == {ids[0]: "immich does not take it into an album: no_permission\\x1b[31m"}
    assert immich.albums[hidden]["assets"] == ids


def test_the_command_keeps_the_key_to_itself(c: lmr.Collection, home: Path) -> None:
    immich, cli = Immich(3), Cli(home / "lmr")
    with served(immich) as address:
        refused = cli.run("export", "immich", address, env={"IMMICH_API_KEY": ""})
        assert refused.returncode == 2 and "IMMICH_API_KEY" in refused.stderr and not immich.asked
        wrong = cli.run("export", "immich", address, env={"IMMICH_API_KEY": "wrong-key"})
        assert wrong.returncode == 2 and "does not take this API key" in wrong.stderr
        env = {"IMMICH_API_KEY": KEY, "IMMICH_INSTANCE_URL": f"{address}/api"}
        told = cli.run("export", "immich", env=env)
        assert told.returncode == 0 and "6 photos are not in immich" in told.stderr and "--apply" in told.stderr
        done = cli.run("export", "immich", "--apply", "--upload", "--json", env=env)
        assert json.loads(done.stdout)["done"] is True and len(immich.assets) == 6
        again = cli.run("export", "immich", "--apply", env=env)
        assert "Old gate\tyours\t2\t0\t0" in again.stdout and "nothing was changed" not in again.stderr
    for one in (refused, wrong, told, done, again):
        assert KEY not in one.stdout + one.stderr and "wrong-key" not in one.stdout + one.stderr


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        ((302, b"", {"Location": "https://elsewhere.example/api"}), lmr.ServerError, "sends to https://elsewhere"),
        ((301, b"", {"Location": f"/?{KEY}"}), lmr.ServerError, r"sends to /\?…"),
        ((403, {"message": "Missing required permission: album.read"}, {}), lmr.UsageError, "album.read.*it needs"),
        ((404, b"<html>", {}), lmr.ServerError, "there is no immich"),
        ((500, {"message": f"no\x1b[31m {KEY}"}, {}), lmr.ServerError, r"code 500 \(no\\x1b\[31m …\)"),
        ((200, b"<html>", {}), lmr.ServerError, "it is no JSON"),
        ((200, b"[" * 100_000, {}), lmr.ServerError, "it is no JSON"),
        ((200, [1], {}), lmr.ServerError, "of another shape"),
        ((200, [{"id": "../../x", "albumName": "Tower", "ownerId": None}], {}), None, ""),
        ((200, b" " * (65 << 20), {}), lmr.ServerError, "larger than 64 MiB"),
    ],
)
def test_what_a_server_says_is_not_believed(answer: tuple, error: type | None, told: str) -> None:
    immich = Immich(3)
    immich.instead = lambda path: answer if path == "/api/albums" else None
    with served(immich) as address:
        client = Client(address, KEY)
        client.check()
        if error is None:
            assert client.albums() == {}
        else:
            with pytest.raises(error, match=told) as raised:
                client.albums()
            assert KEY not in str(raised.value)
        client.close()


def test_ids_are_looked_at_before_they_go_into_a_path() -> None:
    immich = Immich(2)
    immich.album("Tower")
    next(iter(immich.albums.values()))["id"] = "../../users/me"
    with served(immich) as address:
        client = Client(address, KEY)
        with pytest.raises(lmr.ServerError, match="an id that is none"):
            client.albums()
        client.close()


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("photos.example.org", "no address"),
        ("ftp://photos.example.org", "no address"),
        ("https://me:secret@photos.example.org", "no address"),
        ("https://photos.example.org:x", "no address"),
        ("http://photos.example.org", "over http"),
        ("http://8.8.8.8:2283", "over http"),
    ],
)
def test_addresses_that_are_none_or_give_the_key_away(address: str, told: str) -> None:
    with pytest.raises(lmr.UsageError, match=told):
        Client(address, KEY)


def test_addresses_of_a_private_network_and_keys() -> None:
    for address in (
        "http://192.168.1.5:2283",
        "http://nas:2283/",
        "http://nas.local/api",
        "https://photos.example.org",
    ):
        Client(address, KEY).close()
    for key in ("", " ", "a\nb", "ü"):
        with pytest.raises(lmr.UsageError, match="an API key"):
            Client("https://photos.example.org", key)
    old = Immich(1)
    with served(old) as address, pytest.raises(lmr.ServerError, match="not version 2 or newer"):
        Client(address, KEY).check()
    with pytest.raises(lmr.ServerError, match="nothing answers"):
        Client(address, KEY).check()


def test_a_place_is_named_by_a_command(c: lmr.Collection, home: Path, tmp_path: Path) -> None:
    cli = Cli(home / "lmr")
    (place,) = (one.id for one in c.clusters() if not one.landmarks)
    assert cli("label", place[:10], "Bridge, north").startswith("2 photos labelled")
    kept = cli("label", place[:10], "Other")
    assert kept.startswith("0 photos labelled")
    cli("export", "folders", tmp_path / "albums")
    assert "Bridge_north" in {path.name for path in (tmp_path / "albums").iterdir()}
    former = cli.json("label", place, "Other", "--replace")
    assert set(former["former"].values()) == {"Bridge, north"}
    told = cli.run("label", place, "")
    assert told.stdout == "2 photos labelled\n" and "they had: Other" in told.stderr
    assert cli.run("label", "nothing", "x").returncode == 2
    assert {one.landmark for one in c.images()} == {"Old gate", "Tower", None}
