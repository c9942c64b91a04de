"""When and where photos were taken: from their files through ledger and graph into searches, pages, review and locate."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import neo4j
import pytest

from lmr.method.photos.about import About
from lmr.retrieval import search, similar
from lmr.settings import load
from lmr.store.backend import Backend
from lmr.store.files import File
from lmr.store.graph import Graph
from lmr.store.ledger import Ledger
from lmr.store.stores import Stores
from lmr.text import text_of
from lmr.where import Where, first_instant, last_instant, metres
from tests.conftest import Cli, on_servers
from tests.photos.tagged import bag, exif, iptc, jpeg, xmp

SCHOOL, CHAPEL, MILL, FAR = (48.85837, 2.29448), (43.29650, 5.36978), (-16.80000, 179.99990), (-16.80000, -176.15000)
NASTY = "<script>alert(1)</script> & \u202e"
KNOWN: dict[str, About] = {  # by photo; the others know nothing
    "school-0": About("1990-05-06T10:11:12", "+02:00", *SCHOOL, True, "Canon EOS 5D", NASTY),
    "school-1": About("2005-12-31T23:59:59", None, SCHOOL[0] + 0.0003, SCHOOL[1], True),
    "school-2": About("1989-12-31T23:59:59", None, SCHOOL[0], SCHOOL[1] + 0.0004, True),
    "school-3": About(None, None, SCHOOL[0] - 0.0002, SCHOOL[1], True),
    "chapel-0": About("1905", None, *CHAPEL, False, None, None, ("church", "postcard")),
    "chapel-1": About("1990-07", None, CHAPEL[0], CHAPEL[1] + 0.0002, True),
    "mill-front-0": About("2001-01-01T00:00:01", None, *MILL, True),
    "mill-front-1": About("2001-01-01T00:00:02", None, *FAR, True),
    "mill-front-2": About("2001-01-01T00:00:03", None, MILL[0], -179.9999, True),
    "mill-front-3": About("2001-01-01T00:00:04", None, *MILL, True),
}
GROUPS = ("school-[0-4]", "chapel-[0-4]", "mill-front-*", "other-[0-3]")


def tagged(data: bytes, about: About) -> bytes:
    """The photo with these facts in it, as a camera and a program would write them."""
    main = {0x0110: about.camera} if about.camera else {}
    more = {0x9011: about.offset} if about.offset else {}
    taken = about.taken_at and about.taken_at.replace("-", ":").replace("T", " ")
    return jpeg(
        exif(taken, about.place, main=main, more=more),
        iptc=iptc((1, 90, b"\x1b%G"), (2, 120, about.caption.encode())) if about.caption else b"",
        of=data,
    )


@pytest.fixture(scope="module")
def photos(little: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("placed")
    for source in (path for group in GROUPS for path in little.glob(f"{group}.jpg")):
        about = KNOWN.get(source.stem)
        target = folder / source.name
        if source.stem == "chapel-0":  # a scan, described in a sidecar
            target.write_bytes(source.read_bytes())
            place = f'exif:GPSLatitude="{CHAPEL[0]}" exif:GPSLongitude="{CHAPEL[1]}" photoshop:DateCreated="1905"'
            target.with_suffix(".XMP").write_bytes(xmp(bag("dc:subject", "church", "postcard"), attributes=place))
        else:
            target.write_bytes(tagged(source.read_bytes(), about) if about else source.read_bytes())
    return folder


@pytest.fixture(scope="module")
def placed(photos: Path, running: tuple[Graph, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    cli = Cli(tmp_path_factory.mktemp("home") / "lmr")
    with on_servers(running):
        cli("ingest", photos)
        cli("link")
        yield cli


def stem(row: dict) -> str:
    return Path(row["paths"][0]).stem


def test_facts_are_shown_in_results(placed: Cli, photos: Path) -> None:
    rows = placed.json("search", photos / "school-4.jpg", "--top", 50)["results"]
    assert len(rows) == len(list(photos.glob("*.jpg"))) - 1
    assert sum(stem(row) in KNOWN for row in rows) > 2
    for row in rows:
        about = KNOWN.get(stem(row), About())
        assert (row["taken_at"], row["camera"], row["caption"]) == (about.taken_at, about.camera, about.caption)
        assert row["keywords"] == list(about.keywords)
        place = row["location"] and (row["location"]["latitude"], row["location"]["longitude"])
        assert place == (about.place and pytest.approx(about.place, abs=1e-6))
    table = placed("search", photos / "school-4.jpg")
    assert "48.85837, 2.29448" in table and "taken_at" in table.splitlines()[0]
    assert "taken_at" not in placed("search", photos / "school-4.jpg", "--near", "10,10").splitlines()[0]


@pytest.mark.parametrize(
    "words",
    [
        ("--near", "48.85837,2.29448"),
        ("--near", "48.85837,2.29448", "--within", "20m"),
        ("--near", "-16.8,180", "--within", "100m"),
        ("--near", "-16.8,-180", "--within", "900km"),
        ("--near", "90,0", "--within", "20004km"),
        ("--from", "1990", "--to", "2005"),
        ("--to", "1990-06"),
        ("--from", "1905-12", "--to", "1905-12-01"),
        ("--near", "48.85837,2.29448", "--from", "1990"),
        ("--near", "10,10"),
    ],
)
@pytest.mark.parametrize(("proposed", "walked"), [(3000, 500), (3000, 3), (12, 3)])
def test_a_filtered_search_is_the_whole_one_filtered(
    placed: Cli,
    photos: Path,
    words: tuple[str, ...],
    proposed: int,
    walked: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = dict(zip(words[::2], words[1::2]))
    where = Where.of(given.get("--near"), given.get("--within"), given.get("--from"), given.get("--to"))
    assert where is not None
    start = str(photos / "school-4.jpg")
    with Stores.open(load({"home": placed.home})[0]) as collection:
        names = {
            image.id: Path(text_of(collection.ledger.files.paths(image.number)[0])).stem
            for image in collection.ledger.images.all()
        }
        monkeypatch.setattr(similar, "WALKED", walked)
        for options in ({}, {"verified_only": True}, {"max_depth": 1}):
            monkeypatch.setattr(similar, "MOST_PROPOSED", 3000)
            whole = search.search(collection, start, **options).hits
            kept = [hit for hit in whole if where.passes(*facts(names[hit.id]))]
            monkeypatch.setattr(similar, "MOST_PROPOSED", proposed)  # of a rare filter more is looked at than these
            for top in (1, 3, 50):
                found = search.search(collection, start, top=top, where=where, **options).hits
                assert [replace(hit, rank=0, similarity=0) for hit in found] == [
                    replace(hit, rank=0, similarity=0) for hit in kept[:top]
                ]
                assert [hit.rank for hit in found] == list(range(1, len(found) + 1))
                assert [hit.similarity for hit in found] == pytest.approx(
                    [hit.similarity for hit in kept[:top]], abs=1e-5
                )


def test_a_filter_is_told_and_what_it_leaves_out_for_want_of_facts(placed: Cli, photos: Path) -> None:
    words = ("search", photos / "school-4.jpg", "--near", "48.85837,2.29448", "--from", "1990", "--to", "2005")
    found = placed.json(*words)
    assert found["where"] == {
        "near": list(SCHOOL),
        "within": 1000.0,
        "first": "1990-01-01T00:00:00",
        "last": "2005-12-31T23:59:59",
        "landmark": None,
    }
    assert [stem(row) for row in found["results"] if row["reached"] == "verified"]
    assert sorted(map(stem, found["results"])) == ["school-0", "school-1"]
    lacking = sum(
        not KNOWN.get(path.stem, About()).place or not KNOWN[path.stem].taken_at for path in photos.glob("*.jpg")
    )
    assert found["left_out_unknown"] == lacking
    assert f"left out: {lacking} photos" in placed.run(*words).stderr


def facts(name: str) -> tuple[str | None, float | None, float | None]:
    about = KNOWN.get(name, About())
    return about.taken_at, about.latitude, about.longitude


def test_what_cannot_be_asked_for_is_exit_code_2(placed: Cli, photos: Path) -> None:
    for words, told in (
        (("--near", "here"), "such as"),
        (("--near", "1,1", "--within", "5"), "such as"),
        (("--from", "199"), "such as"),
        (("--within", "5km"), "add near"),
    ):
        failed = placed.run("search", photos / "school-4.jpg", *words)
        assert failed.returncode == 2 and f"{words[-2].strip('-')} is " in failed.stderr, failed.stderr
        assert told in failed.stderr


def test_pages_tell_when_and_where_and_take_captions_for_text(placed: Cli, photos: Path, tmp_path: Path) -> None:
    placed("search", photos / "school-4.jpg", "--html", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "1990-05-06 10:11:12 +02:00" in page and "48.85837, 2.29448" in page and "Canon EOS 5D" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp;" in page and "<script>" not in page
    assert "http://" not in page and "https://" not in page


def test_matches_of_photos_far_apart_come_first_in_review(placed: Cli, photos: Path, tmp_path: Path) -> None:
    rows = placed.json("review", "--html", tmp_path / "review.html")
    apart = [row for row in rows if row["metres"]]
    assert apart and rows[: len(apart)] == apart
    assert all(any("mill-front-1" in name for name in row["names"]) for row in apart)
    assert [row["metres"] for row in apart] == sorted((row["metres"] for row in apart), reverse=True)
    kilometres = round(apart[0]["metres"] / 1000)
    assert kilometres == round(metres(FAR, MILL) / 1000) == 410 and f"taken {kilometres} km apart" in apart[0]["why"]
    assert f"taken {kilometres} km apart" in (tmp_path / "review.html").read_text()
    assert f"taken {kilometres} km apart" in placed("review").splitlines()[1]
    assert len(placed.json("review", "--limit", 1)) == 1
    env = {"LMR_FAR_APART": "500000"}
    assert "km apart" not in placed("review", env=env)


def test_places_are_suggested_and_never_written(placed: Cli, photos: Path, little: Path) -> None:
    before = {path.name: hashlib.sha256(path.read_bytes()).digest() for path in photos.iterdir()}
    rows = {Path(row["path"]).stem: row for row in placed.json("locate")}
    assert {"school-4", "chapel-2"} <= rows.keys() and not rows.keys() & KNOWN.keys()
    for name, place in (("school-4", SCHOOL), ("chapel-2", CHAPEL)):
        found = rows[name]
        assert metres((found["location"]["latitude"], found["location"]["longitude"]), place) < 60
        assert found["known"] is None and found["spread"] < 60 and 0 < found["confidence"] < 1
        assert all({"id", "path", "inliers", "metres", "outlier"} <= match.keys() for match in found["matches"])
    assert len(placed.json("locate", "--limit", 1)) == 1
    (wrong,) = placed.json("locate", photos / "mill-front-1.jpg")
    assert wrong["known"]["longitude"] == pytest.approx(FAR[1])
    assert metres((wrong["location"]["latitude"], wrong["location"]["longitude"]), MILL) < 60
    (outside,) = placed.json("locate", little / "school-query.jpg")
    assert outside["id"] is None and outside["location"]["latitude"] == pytest.approx(SCHOOL[0], abs=0.001)
    (nothing,) = placed.json("locate", photos / "other-0.jpg")
    assert nothing["location"] is None and nothing["matches"] == []
    assert placed.run("locate", photos / "none.jpg").returncode == 2
    table = placed("locate")
    assert "school-4.jpg" in table and "48.858" in table
    assert before == {path.name: hashlib.sha256(path.read_bytes()).digest() for path in photos.iterdir()}
    with sqlite3.connect(f"file:{placed.home}/ledger.sqlite?mode=ro", uri=True) as db:
        located = db.execute("SELECT count(*) FROM images WHERE latitude IS NOT NULL").fetchone()[0]
    assert located == sum(about.place is not None for about in KNOWN.values())


def test_analysts_ask_by_place_and_time(placed: Cli) -> None:
    near = placed.json(
        "query", "near", "--param", "latitude=48.85837", "--param", "longitude=2.29448", "--param", "metres=100"
    )
    assert {Path(row["name"]).stem for row in near} == {f"school-{k}" for k in range(4)}
    between = placed.json("query", "between-times", "--param", "from=1905", "--param", "to=1990-06")
    assert [Path(row["name"]).stem for row in between] == ["chapel-0", "school-2", "school-0"]
    apart = placed.json("query", "far-apart")
    assert apart and all("mill-front-1.jpg" in (row["name_a"], row["name_b"]) for row in apart)
    placed("cluster")
    assert any(row["located"] >= 4 for row in placed.json("query", "located-clusters"))


def test_check_compares_what_the_graph_knows(placed: Cli, running: tuple[Graph, str]) -> None:
    assert placed.json("check") == []
    access = running[0].access
    changes = {
        "school-0": "i.taken_at = localdatetime('1999')",
        "school-1": "i.location = point({latitude: 1, longitude: 1})",
        "chapel-1": "i.caption = 'x'",
        "mill-front-0": "i.keywords = ['x']",
        "mill-front-2": "i.from_camera = null",
    }
    with neo4j.GraphDatabase.driver(access.uri, auth=(access.username, access.password)) as driver:
        for count, (name, change) in enumerate(changes.items(), 1):
            driver.execute_query(f"MATCH (i:Image {{name: '{name}.jpg'}}) SET {change}")
            (found,) = json.loads(placed("check", "--json", code=1))
            assert (found["what"], found["count"]) == ("images with other values", count)
    placed("repair")
    assert placed.json("check") == []


@pytest.fixture
def ledger(place: Path | Backend) -> Iterator[Ledger]:
    with Ledger.create(place, version="4") as ledger:
        yield ledger


def test_facts_follow_the_files_of_an_image(ledger: Ledger) -> None:
    with ledger.transaction():
        number = ledger.images.add("a" * 64, 1, 1, "index", b"x", b"y")
    by_hand = About("1990", None, 1.0, 2.0, caption="by hand")
    measured = About("1991", "+01:00", 3.0, 4.0, True, "X100")

    def put(path: bytes, about: About | None) -> About:
        ledger.files.put(File(path, "", 1, 1, number, None, about=about and about.to_json()))
        ledger.files.refresh_facts(number)
        image, found = ledger.images.numbered(number), ledger.files.about(number)
        assert (image.taken_at, image.latitude, image.longitude) == (found.taken_at, found.latitude, found.longitude)
        assert ledger.files.abouts().get(number, About()) == found
        return found

    with ledger.transaction():
        assert put(b"/z", None) == About()
        assert put(b"/b", measured) == measured
        assert put(b"/a", by_hand) == replace(measured, taken_at="1990", offset=None, caption="by hand")
        ledger.set_meta("version", "7")
        assert put(b"/b", About()) == by_hand
    assert [image.number for image in ledger.images.changed(7)] == [number]


def test_images_are_found_by_when_and_where_they_were_taken(ledger: Ledger) -> None:
    known = [*KNOWN.values(), About("1905-07"), About(latitude=89.999, longitude=1.0), About()]
    with ledger.transaction():
        for k, about in enumerate(known):
            number = ledger.images.add(f"{k:064}", 1, 1, "index", b"x", b"y")
            ledger.files.put(File(b"/%d" % k, "", 1, 1, number, None, about=about.to_json()))
            ledger.files.refresh_facts(number)
    asked = [Where(near, within) for near in (SCHOOL, MILL, (90.0, 0.0), (0.0, 0.0)) for within in (50.0, 5e5, 3e7)]
    asked += [
        Where(first=first and first_instant(first), last=last and last_instant(last))
        for first, last in (("1990", "2005"), ("1905-07-02", "1905-08"), (None, "1989"), ("2001-01-01T00:00:03", None))
    ]
    passing = 0
    for where in asked:
        wanted = [k for k, a in enumerate(known, 1) if where.passes(a.taken_at, a.latitude, a.longitude)]
        assert ledger.images.taken(where) == wanted
        passing += 0 < len(wanted) < len(known)
        lacking = [a for a in known if (where.near and not a.place) or ((where.first or where.last) and not a.taken_at)]
        assert ledger.images.lack(where) == len(lacking)
    assert passing > len(asked) // 2
    assert set(ledger.images.positions()) == {k for k, a in enumerate(known, 1) if a.place}


def test_the_ledger_looks_up_times_and_places_by_index(tmp_path: Path) -> None:
    Ledger.create(tmp_path / "ledger.sqlite").close()
    for condition, index in (
        ("latitude BETWEEN ? AND ?", "images_latitude"),
        ("taken_at BETWEEN ? AND ?", "images_taken_at"),
    ):
        with sqlite3.connect(tmp_path / "ledger.sqlite") as db:
            select = "EXPLAIN QUERY PLAN SELECT number FROM images WHERE " + condition  # noqa: S608
            plan = db.execute(select, (1, 2)).fetchall()
        assert index in plan[0][3]
