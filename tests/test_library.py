"""The Python interface, as a user's program meets it."""

from __future__ import annotations

import inspect
import io
import itertools
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

import lmr
from tests.conftest import ROOT, Cli, forget

PLACES = {"bank": 5, "mill": 4}


@pytest.fixture(scope="module")
def home(running, little: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection of a few photos, made and linked in Python, on the servers of all tests."""
    folder = tmp_path_factory.mktemp("library")
    photos = folder / "photos"
    photos.mkdir()
    for name, count in PLACES.items():
        for path in sorted(little.glob(f"{name}-*.jpg"))[1 : 1 + count]:
            shutil.copy(path, photos)
    shutil.copy(sorted(little.glob("town-hall-*.jpg"))[0], folder / "alone.jpg")
    return folder


@pytest.fixture(scope="module")
def said() -> list[tuple[str, int, int]]:
    """What was told of progress."""
    return []


@pytest.fixture(scope="module")
def c(home: Path, running, said: list[tuple[str, int, int]]):
    forget(running)
    graph, milvus = running
    where = {"neo4j_uri": graph.access.uri, "neo4j_password": graph.access.password, "milvus_uri": milvus}
    with lmr.open(home / "lmr", progress=lambda *told: said.append(told), workers=1, **where) as collection:
        taken = collection.ingest(home / "photos")
        assert taken.new == len(collection) == sum(PLACES.values())
        linked = collection.link()
        assert linked.accepted > 0
        collection.ingest(home / "alone.jpg")  # and not linked yet
        yield collection


@pytest.fixture(scope="module")
def served(c: lmr.Collection, home: Path, running) -> Iterator[object]:
    graph, milvus = running
    where = {"neo4j_uri": graph.access.uri, "neo4j_password": graph.access.password, "milvus_uri": milvus}
    with lmr.serve(home / "lmr", port=0, photos=[home / "photos"], workers=1, **where) as page:
        yield page


@pytest.fixture(scope="module")
def remote(served, said: list[tuple[str, int, int]]):
    """The same collection over HTTP."""
    with lmr.connect(served.address, progress=lambda *told: said.append(told)) as collection:
        yield collection


@pytest.fixture(params=["open", "connect"])
def either(request: pytest.FixtureRequest, c: lmr.Collection):
    """The collection, opened here and by HTTP: what is asked of it is the same."""
    return c if request.param == "open" else request.getfixturevalue("remote")


@pytest.fixture
def photo(little: Path) -> Path:
    """A photo of the bank that is not in the collection."""
    return sorted(little.glob("bank-*.jpg"))[0]


def ranked(result: lmr.SearchResult) -> list[tuple]:
    return [(hit.image.id, hit.reached, hit.inliers, hit.hops, hit.weight, hit.similarity) for hit in result]


def test_every_kind_of_photo_finds_the_same(either, photo: Path) -> None:
    first = either.search(photo, top=None)
    assert [hit.rank for hit in first.hits] == list(range(1, len(either) + 1))
    verified = [hit for hit in first if hit.reached == "verified"]
    assert all("bank" in Path(hit.image.paths[0]).name for hit in verified[:4]) and len(verified) >= 4
    assert first.stored is None and first[0].inliers > 20
    for given in (str(photo), photo.read_bytes(), memoryview(photo.read_bytes())):
        assert ranked(either.search(given, top=None)) == ranked(first)
    with Pillow.open(photo) as image:
        from_pixels = either.search(image, top=None)
        assert ranked(either.search(np.asarray(image), top=None)) == ranked(from_pixels)
    assert [hit.image.id for hit in from_pixels if hit.reached == "verified"] == [hit.image.id for hit in verified]


def test_pixels_are_judged_as_their_file_is(c: lmr.Collection, photo: Path, tmp_path: Path) -> None:
    """With transparency, 16 bits of grey, and a palette: as if the image had been saved."""
    with Pillow.open(photo) as image:
        clear = image.convert("RGBA")
        clear.putalpha(Pillow.linear_gradient("L").resize(image.size))
        deep = Pillow.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
        others = {"clear": clear, "deep": deep, "palette": image.quantize(), "print": image.convert("CMYK")}
    for name, one in others.items():
        file = tmp_path / f"{name}.{'tif' if name == 'print' else 'png'}"
        one.save(file)
        ours, files = (
            [(hit.image.id, hit.inliers, hit.hops, hit.similarity) for hit in c.search(given, top=3)]
            for given in (one, file)
        )  # the last digits of a weight are of the bytes' hash
        assert ours == files, name
    with pytest.raises(lmr.UsageError, match="no pixels"):
        c.search(np.zeros((0, 4, 3), np.uint8))


def test_what_can_be_no_place_or_time_is_refused(either, photo: Path) -> None:
    for wrong in (
        {"near": (200.0, 0.0)},
        {"near": (48.0, 2.0), "within": -5.0},
        {"taken_from": "yesterday"},
        {"taken_from": "2005", "taken_to": "1990"},
    ):
        with pytest.raises(lmr.UsageError):
            either.search(photo, **wrong)
    found = either.search(photo, near=(48.85, 2.29), within=500, taken_from="1990").to_dict()
    assert found["left_out_unknown"] == len(either) and found["results"] == []


def test_a_text_is_a_path_and_an_id_is_an_image_id(either, photo: Path) -> None:
    id = either.search(photo).hits[0].image.id
    assert isinstance(id, lmr.ImageId)
    assert ranked(either.search(id)) == ranked(either.search(lmr.ImageId(id[:12])))
    assert either.search(id).stored == id
    with pytest.raises(lmr.UsageError, match=r"there is no file .*lmr\.ImageId"):
        either.search(str(id))
    for wrong in ("0" * 64, str(photo), id[:3]):
        with pytest.raises(lmr.UsageError, match="has the id"):
            either.search(lmr.ImageId(wrong))
    with pytest.raises(lmr.UsageError, match=r"\(H, W, 3\) uint8"):
        either.search(np.zeros((4, 4), np.float32))
    with pytest.raises(lmr.UsageError, match="int is no photo"):
        either.search(7)
    with pytest.raises(lmr.PhotoError):
        either.search(b"no photo at all")
    with pytest.raises(lmr.UsageError, match="not in the collection"):
        either.image(photo)


def test_results_are_the_command_lines(c: lmr.Collection, home: Path, photo: Path, servers_of: dict[str, str]) -> None:
    told = json.loads(Cli(home / "lmr")("search", photo, "--json", env=servers_of))
    ours = json.loads(json.dumps(c.search(photo).to_dict()))
    for document in (told, ours):
        document.pop("seconds")
    assert ours == told
    frame = c.search(photo).to_pandas()
    assert list(frame["id"]) == [row["id"] for row in told["results"]]


@pytest.fixture
def servers_of(running) -> dict[str, str]:
    graph, milvus = running
    return {"NEO4J_URI": graph.access.uri, "NEO4J_PASSWORD": graph.access.password, "LMR_MILVUS_URI": milvus}


def test_ways_are_explained_and_drawn(c: lmr.Collection, home: Path, photo: Path, tmp_path: Path) -> None:
    result = c.search(photo)
    for hit in result:
        way = result.path(hit)
        assert len(way) == (hit.hops or 0)
        if way:
            assert way[0].a is None and way[-1].b == hit.image.id
            assert min(hop.weight for hop in way) == hit.weight
    best = result.hits[0].image
    found = c.explain(photo, best.id)
    assert found.joined and [hop.b for hop in found.path][-1] == best.id
    assert found.picture(tmp_path / "why.jpg").read_bytes()[:2] == b"\xff\xd8"
    assert c.explain(best.id, best.paths[0]).path == ()
    apart = c.explain(photo, c.image(home / "alone.jpg").id)
    assert not apart.joined
    with pytest.raises(lmr.UsageError, match="no way"):
        apart.picture(tmp_path / "none.jpg")


def test_the_gallery_is_one_document_or_a_page(
    c: lmr.Collection, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = c.search(photo, top=3)
    text = result.html()
    pictures = re.findall(r'src="([^"]{0,40})', text)
    assert len(pictures) > 3 and all(one.startswith("data:image/jpeg;base64,") for one in pictures)
    assert not re.search(r'(?:src|href)="(?!data:|#)', text), "it needs nothing but itself"
    assert result._repr_html_().startswith("<iframe sandbox srcdoc=")
    page = result.save(tmp_path / "page.html")
    assert page.exists() and list((tmp_path / "page.files").glob("*.jpg"))
    other = tmp_path / "notes.html"
    other.write_text("mine")
    with pytest.raises(lmr.UsageError):
        result.save(other)
    assert other.read_text() == "mine"
    result.show()
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert repr(result).startswith("<SearchResult: ")


def test_people_correct_and_look_around(c: lmr.Collection, either, home: Path, photo: Path) -> None:
    a = either.search(photo, verified_only=True)[0].image
    links = either.cypher("analyst/strongest-bridges", limit=100)
    assert links and {"a", "b", "inliers"} <= links[0].keys()
    with pytest.raises(lmr.UsageError, match="takes"):
        either.cypher("strongest-bridges", most=3)
    with pytest.raises(lmr.UsageError, match="there is no query"):
        either.cypher("write/clear", limit=3)
    other = either.image(home / "alone.jpg")
    either.confirm(a.id, home / "alone.jpg", why="it stands beside it")
    assert either.explain(a.id, other.id).joined
    either.reject(a.id, other.id)
    assert not either.explain(a.id, other.id).joined
    either.cluster()
    assert sum(one.size for one in either.clusters()) <= len(either)
    assert all(one.a and one.b for one in either.review())
    with pytest.raises(lmr.UsageError, match="min_weight is for components"):
        c.cluster(min_weight=3)


def test_what_was_said_can_be_taken_back(c: lmr.Collection, either, home: Path, photo: Path) -> None:
    """All is then as if it had never been said: a good match, one that is none, one that nobody had looked at."""
    good = either.match(*_ends(either, photo))
    assert good.takes_part and good.verdict is None and "agree in one map" in good.words()
    far = either.image(home / "alone.jpg").id, good.a
    before = either.match(*far)
    ranks = [row[:-1] for row in ranked(either.search(photo, top=None))]
    for a, b, said in ((good.a, good.b, either.reject), (*far, either.confirm), (good.a, good.b, either.confirm)):
        said(a, b, why="a try")
        assert either.match(a, b).why == "a try" and "A person" in either.match(a, b).words()
        assert either.rulings()[0].why == "a try"
        either.withdraw(b, a)
        assert all(one.why != "a try" for one in either.rulings())
        with pytest.raises(lmr.UsageError, match="nobody said anything"):
            either.withdraw(a, b)
    assert either.match(good.a, good.b) == good
    assert not either.match(*far).takes_part and (before is None or before.inliers == either.match(*far).inliers)
    assert [row[:-1] for row in ranked(either.search(photo, top=None))] == ranks
    assert c.check()[0] == []


def _ends(c: lmr.Collection, photo: Path) -> tuple[lmr.ImageId, lmr.ImageId]:
    """The ends of a stored match on a way."""
    result = c.search(photo)
    hop = next(way[1] for hit in result if len(way := result.path(hit)) > 1)
    return lmr.ImageId(hop.a), lmr.ImageId(hop.b)


def test_a_part_of_a_photo_is_searched_with(c: lmr.Collection, either, photo: Path) -> None:
    found = either.search(photo, box=(60, 40, 340, 260), top=None)
    assert found.hits[0].reached == "verified" and "bank" in found.hits[0].image.paths[0]
    stored = found.hits[0].image
    again = either.search(stored.id, box=(0, 0, stored.width, stored.height * 0.8))
    assert stored.id in [hit.image.id for hit in again if hit.reached == "verified"], "it is a photo of its own"
    assert (
        either.explain(photo, found.hits[0].image.id, box=(60, 40, 340, 260)).path[0].inliers == found.hits[0].inliers
    )
    assert c.size(photo) == c.size(stored.id) == (400, 300)
    for wrong in ((0, 0, 5, 5), (900, 900, 1000, 1000), (float("nan"), 0, 50, 50)):
        with pytest.raises(lmr.UsageError, match=r"is no|takes a number"):
            either.search(photo, box=wrong)


def test_several_photos_are_one_question(c: lmr.Collection, either, photo: Path) -> None:
    """Bytes, an id and a path of one place together: each is told, and ways begin at whichever is nearest."""
    stored = [image.id for image in c.images() if "bank" in image.paths[0]]
    given = [photo.read_bytes(), stored[0], lmr.ImageId(stored[1][:12])]
    here, there = c.search(given, top=None), either.search(given, top=None)
    assert ranked(there) == ranked(here) and not set(stored[:2]) & {hit.image.id for hit in there}
    assert as_json(there.to_dict()) == as_json(here.to_dict()) and len(there.to_dict()["queries"]) == 3
    assert (there.statistics, there.turned, there.stored) == (here.statistics, here.turned, None)
    assert [there.path(hit) for hit in there] == [here.path(hit) for hit in here]
    assert either.search(stored[:2]).stored == stored[0]
    for goal in stored:
        found, ours = either.explain(given, goal), c.explain(given, goal)
        assert (found, found.begins, found.names) == (ours, ours.begins, ours.names)
    assert either.explain([stored[0], photo], stored[2]).joined
    for wrong in ({"photo": []}, {"photo": given, "box": (0, 0, 40, 40)}):
        with pytest.raises(lmr.UsageError):
            either.search(**wrong)


def test_labels_are_given_and_given_back(c: lmr.Collection, either, home: Path) -> None:
    ids = [image.id for image in c.images()][:3]
    before = either.label({ids[0]: "bank", ids[1]: " the\u2028 mill ", lmr.ImageId(ids[2][:9]): None})
    assert before == {ids[0]: None, ids[1]: None} and all(type(id) is lmr.ImageId for id in before)
    assert either.labels == {ids[0]: "bank", ids[1]: "the mill"} and either.image(ids[0]).landmark == "bank"
    assert either.label({ids[0]: "other", home / "alone.jpg": "place"}) == {c.image(home / "alone.jpg").id: None}
    assert either.label({ids[0]: "other"}, replace=True) == {ids[0]: "bank"} and either.label({}) == {}
    for wrong in ({ids[0]: " "}, {ids[0]: "x" * 5000}, {lmr.ImageId("0" * 64): "x"}, {home: "x"}):
        with pytest.raises(lmr.UsageError):
            either.label(wrong, replace=True)
    given = either.labels
    assert either.label(dict.fromkeys(given), replace=True) == given and either.labels == {}


def test_one_photo_is_laid_over_another_as_their_match_maps_it(c: lmr.Collection, home: Path, photo: Path) -> None:
    """Where the second photo covers the first it shows the same: nearer than it would without the map."""
    a, b = _ends(c, photo)
    drawn = [np.asarray(Pillow.open(io.BytesIO(data)).convert("L"), float) for data in (
        c.thumbnail(a, 400), c.match_overlay(a, b), c.thumbnail(b, 400))]  # fmt: skip
    assert drawn[0].shape == drawn[1].shape
    shown = drawn[1] != 245
    laid, apart = (np.corrcoef(drawn[0][shown], one[shown])[0, 1] for one in drawn[1:])
    assert laid > apart and laid > 0.5
    assert c.match_picture(a, b)[:2] == b"\xff\xd8"


def test_photos_are_looked_at(c: lmr.Collection, photo: Path) -> None:
    id = c.search(photo)[0].image.id
    for given in (id, photo, photo.read_bytes()):
        with Pillow.open(io.BytesIO(c.thumbnail(given, 100))) as small:
            assert max(small.size) == 100 and small.format == "JPEG"
    with pytest.raises(lmr.PhotoError):
        c.thumbnail(b"no photo")
    parts = list(itertools.takewhile(bool, _parts(c)))
    assert [id for part in parts for id in part] == [image.id for image in c.images()]
    assert c.set_aside() == []
    explained = c.explain(photo, id)
    assert explained.figure(0).shape[0] <= explained.figure().shape[0]
    with pytest.raises(lmr.UsageError, match="no match 7"):
        explained.figure(7)


def _parts(c: lmr.Collection) -> Iterator[list[lmr.ImageId]]:
    after = ""
    while True:
        yield (part := c.image_ids(after, 4))
        after = part[-1] if part else after


def test_threads_search_while_another_process_links(
    c: lmr.Collection, home: Path, photo: Path, servers_of: dict[str, str]
) -> None:
    c.link()  # what earlier tests changed moves descriptors a little
    wanted = ranked(c.search(photo, top=None))
    with ThreadPoolExecutor(3) as threads:
        link = threads.submit(Cli(home / "lmr"), "link", env=servers_of)
        found = list(threads.map(lambda _: ranked(c.search(photo, top=None)), range(6)))
        link.result()
    after = ranked(c.search(photo, top=None))  # link may write before the first search is done, which then waits for it
    assert wanted in found or after in found
    assert all({id for id, *_ in one} == {id for id, *_ in wanted} for one in found)


def test_what_was_found_outlives_what_others_learn(
    c: lmr.Collection, home: Path, photo: Path, servers_of: dict[str, str]
) -> None:
    before = c.search(photo, top=None)
    hits = ranked(before)
    Cli(home / "lmr")("train", env=servers_of)
    assert ranked(before) == hits and before.to_dict()["results"]
    after = c.search(photo, top=None)
    assert {hit.image.id for hit in after} == {hit.image.id for hit in before}


def test_a_way_is_of_the_state_that_was_searched_or_refused(c: lmr.Collection, home: Path, photo: Path) -> None:
    """A newer way would contradict the result: it is not given in its place."""
    result = c.search(photo)
    far = next(hit for hit in result if hit.hops and hit.hops > 1)
    way = result.path(far)
    assert len(way) == far.hops and "inliers</b>" in result.html()
    first = way[-1]
    with c.snapshot() as state:
        c.search(photo)
    assert not state.outdated
    with pytest.raises(lmr.OutdatedError, match="another command changed the collection meanwhile"), c.snapshot():
        c.reject(lmr.ImageId(first.a), lmr.ImageId(first.b))
    try:
        assert state.outdated
        with pytest.raises(lmr.OutdatedError, match="changed the matches since this search; search again"):
            result.path(far)
        page = result.html()
        assert "are not shown: another command has changed the matches" in page and "inliers</b>" not in page
        anew = c.search(photo)
        assert all(len(anew.path(hit)) == (hit.hops or 0) for hit in anew)
    finally:
        c.confirm(lmr.ImageId(first.a), lmr.ImageId(first.b))


def test_progress_is_told(c: lmr.Collection, said: list[tuple[str, int, int]]) -> None:
    tasks = {task for task, *_ in said}
    assert {"Photos", "Proposals"} <= tasks
    for task in tasks:
        done = [(count, total) for one, count, total in said if one == task]
        assert done[0][0] == 0 and all(0 <= count <= total for count, total in done)
    assert ("Photos", 9, 9) in said


# ------------------------------------------------------------ the same over HTTP


def as_json(value: object) -> object:
    """As it would be printed, without what differs from one call to the next."""
    found = json.loads(json.dumps(value))
    if isinstance(found, dict):
        found.pop("seconds", None)
    return found


def test_what_comes_over_http_is_what_is_here(c: lmr.Collection, remote, home: Path, photo: Path) -> None:
    """Values of the same types, equal in all that they tell."""
    stored = next(image for image in c.images() if "bank" in image.paths[0])
    with Pillow.open(photo) as image:
        pixels = np.asarray(image)
    for given in (photo, pixels, stored.id, Path(stored.paths[0]).read_bytes()):
        for asked in ({"top": None, "query_images": True}, {"box": (20.5, 30, 300, 240)})[: 1 + (given is stored.id)]:
            there, here = remote.search(given, **asked), c.search(given, **asked)
            assert as_json(there.to_dict()) == as_json(here.to_dict()) and there.hits == here.hits
            assert (there.statistics, there.turned, there.stored) == (here.statistics, here.turned, here.stored)
            assert list(there.to_pandas().columns) == list(here.to_pandas().columns)
    copy = remote.search(stored.paths[0])  # a path is one here: whether its file is the collection's is not known there
    assert copy[0].image.id == copy.stored == stored.id and ranked(copy)[0][1:4:2] == ("verified", 0)
    for asked in (
        {"max_depth": 1, "min_weight": 12.345678901234567, "verified_only": True},
        {
            "near": (48.85, -2.2900000000000005),
            "within": 512.3000000000001,
            "taken_from": "1990",
            "taken_to": "2005-02",
        },
        {"label": "a&b=c"},
        {"rounds": 0},
        {"seconds": 0.0},
    ):
        assert as_json(remote.search(photo, **asked).to_dict()) == as_json(c.search(photo, **asked).to_dict())
    other = c.search(stored.id)[0].image
    for a, b in ((stored.id, other.id), (photo, other.id), (stored.paths[0], other.paths[0]), (stored.id, stored.id)):
        assert remote.explain(a, b) == c.explain(a, b) and remote.explain(a, b).names == c.explain(a, b).names
    alone = c.image(home / "alone.jpg")
    assert remote.image(home / "alone.jpg") == remote.image(lmr.ImageId(alone.id[:9])) == alone
    assert remote.explain(photo, alone.id).joined == c.explain(photo, alone.id).joined
    assert list(remote.images()) == list(c.images()) and len(remote) == len(c)
    assert remote.image_ids(stored.id, 3) == c.image_ids(stored.id, 3)
    assert [type(image.id) for image in remote.images()] == [lmr.ImageId] * len(c)
    for side in (240, 1200):
        assert remote.thumbnail(stored.id, side) == c.thumbnail(stored.id, side)
    assert remote.match(stored.id, other.id) == c.match(stored.id, other.id)
    assert remote.match_picture(stored.id, other.paths[0]) == c.match_picture(stored.id, other.id)
    assert remote.match(stored.id, stored.id) is None is c.match(stored.id, stored.id)
    assert remote.clusters() == c.clusters() and remote.rulings() == c.rulings()
    assert remote.review(5) == c.review(5) and as_json(remote.review().to_dict()) == as_json(c.review().to_dict())
    assert remote.status() == c.status()
    for name, values in (("strongest-bridges", {"limit": 3}), ("near", {"latitude": 48.5, "longitude": 2.25})):
        assert remote.cypher(name, **values) == c.cypher(name, **values)


def test_a_way_over_http_is_that_of_its_result_or_refused(c: lmr.Collection, remote, photo: Path) -> None:
    result, here = remote.search(photo, top=None), c.search(photo, top=None)
    assert [result.path(hit) for hit in result] == [here.path(hit) for hit in here]
    far = next(hit for hit in result if hit.hops and hit.hops > 1)
    last = result.path(far)[-1]
    remote.reject(lmr.ImageId(last.a), lmr.ImageId(last.b))
    try:
        with pytest.raises(lmr.OutdatedError, match="search again"):
            result.path(far)
    finally:
        remote.confirm(lmr.ImageId(last.a), lmr.ImageId(last.b))
        remote.withdraw(lmr.ImageId(last.a), lmr.ImageId(last.b))


def test_what_does_not_go_over_http_says_so(
    remote, photo: Path, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = remote.search(photo, top=2)
    way = remote.explain(photo, result[0].image.id)
    result.show()
    assert len(capsys.readouterr().out.splitlines()) == 2 and result._repr_html_() is None
    for asked in (
        result.html,
        lambda: result.save(tmp_path / "page.html"),
        way.figure,
        lambda: way.picture(tmp_path / "why.jpg"),
        lambda: remote.train(),
        lambda: remote.backup,
        lambda: remote.link(rounds=2),
        lambda: remote.cluster("components"),
        lambda: remote.ingest(home / "photos"),
        lambda: remote.ingest(7),
        lambda: remote.thumbnail(result[0].image.id, 100),
        lambda: remote.thumbnail(photo),
        lambda: remote.search(photo, label=" bank"),
        lambda: remote.cypher("strongest-bridges", limit=[3]),
        lambda: remote.confirm(result[0].image.id, result[1].image.id, "x" * 2000),
        lambda: remote.match(result[0].image.id, lmr.ImageId("0" * 64)),
    ):
        with pytest.raises(lmr.UsageError):
            asked()
    assert not hasattr(remote, "train") and not list(tmp_path.iterdir()) and remote


def test_jobs_over_http_tell_of_their_progress_and_can_be_cancelled(
    c: lmr.Collection, remote, served, said: list[tuple[str, int, int]]
) -> None:
    said.clear()
    assert remote.ingest(0) == c.ingest(Path(c.image(c.image_ids(limit=1)[0]).paths[0]).parent)
    remote.link()
    assert remote.link().verified == 0 and remote.cluster().clusters == len(c.clusters())
    assert any(task == "Proposals" and done == total for task, done, total in said)
    jobs, held = served._site.jobs, threading.Event()

    def work(collection: lmr.Collection) -> None:
        for k in range(600):
            jobs._told("Counting", k, 600)
            held.wait(0.05)

    def interrupted(task: str, done: int, total: int) -> None:
        if task == "Counting" and done:
            raise KeyboardInterrupt

    kinds = served._site.jobs.ask
    served._site.jobs.ask = lambda kind, about, _: kinds(kind, about, work)
    try:
        with lmr.connect(served.address, progress=interrupted) as ours, pytest.raises(KeyboardInterrupt):
            ours.link()
    finally:
        served._site.jobs.ask = kinds
    assert jobs.finished(jobs.all()[0], 10).state == "cancelled"


def test_values_can_be_kept_and_read_again(c: lmr.Collection, photo: Path) -> None:
    found = c.search(photo, top=3)
    kept = lmr.SearchResult.from_dict(json.loads(json.dumps(found.to_dict())))
    assert kept.hits == found.hits and kept.statistics == found.statistics and kept.seconds == found.seconds
    for asked in (lambda: kept.path(kept[0]), kept.html, lambda: c.page(kept), lambda: lmr.SearchResult.from_dict({})):
        with pytest.raises(lmr.UsageError):
            asked()
    with pytest.raises(lmr.UsageError, match="rank"):
        lmr.SearchResult.from_dict({**found.to_dict(), "results": [{**found.to_dict()["results"][0], "rank": "1"}]})


def test_opening(tmp_path: Path) -> None:
    with pytest.raises(lmr.UsageError, match=r"no setting 'presets'; there are: .*preset"):
        lmr.open(tmp_path / "a", presets="classic")
    with pytest.raises(lmr.CollectionError):
        lmr.open(tmp_path / "a", create=False)
    assert not (tmp_path / "a").exists()
    with lmr.open(tmp_path / "a") as collection:
        assert len(collection) == 0 and collection.home == tmp_path / "a" and not list(collection.images())
    assert "a" in repr(lmr.open(tmp_path / "a", create=False))


def test_public_names() -> None:
    assert set(lmr.__all__) <= set(dir(lmr))
    assert (ROOT / "lmr" / "py.typed").exists()
    for name in lmr.__all__:
        value = getattr(lmr, name)
        assert (inspect.getdoc(value) or "").strip(), name
        if inspect.isclass(value):
            for member, one in vars(value).items():
                if not member.startswith("_") and (callable(one) or isinstance(one, property)):
                    assert (inspect.getdoc(one) or "").strip(), (name, member)
    with pytest.raises(AttributeError, match="no attribute 'opne'"):
        lmr.opne  # noqa: B018


def test_importing_is_cheap() -> None:
    code = "import sys; before = set(sys.modules); import lmr; print(*sorted(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "lmr" in loaded and not {"numpy", "neo4j", "pymilvus", "cv2", "torch"} & set(loaded)
    code = "import sys, lmr; lmr.open; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"neo4j", "pymilvus", "torch", "pandas"} & set(loaded)
