"""Photos that lie on their side, upside down or are mirrored, without a note that says so."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from lmr.extractors.presets import preset
from lmr.inputs.find import find
from lmr.jobs.ingest.ingest import extract, ingest
from lmr.jobs.ingest.intake import Stored
from lmr.jobs.ingest.plan import Ingested
from lmr.jobs.link.link import link
from lmr.method.features.pack import pack
from lmr.method.features.sift import reduce, turned_descriptors, turned_order
from lmr.method.features.upright import likelihoods
from lmr.method.photos.decode import decode
from lmr.method.photos.turned import TURNS, after, back, degrees, turned, turned_pixels, turned_points
from lmr.progress import Silent
from lmr.reports.photos import Pictures
from lmr.retrieval import turning
from lmr.retrieval.query import query_of_photo, query_of_stored
from lmr.settings import load
from lmr.store.check import check
from lmr.store.graph import Graph
from lmr.store.ledger import Ledger
from lmr.store.made import create_ledger
from lmr.store.stores import Stores
from lmr.values import Photo, unit_rows
from tests.collection.test_faults import Fault
from tests.collection.test_histories import Here
from tests.conftest import Cli, copy_ledger, forget

CLASSIC = preset("classic")


def photo_of(path: Path) -> Photo:
    return decode(path.read_bytes(), max_pixels=1 << 30, min_side=1, enough=CLASSIC.enough)


def put(photo: Photo, turn: int, target: Path) -> Path:
    """A file that shows a photo turned, and does not say so."""
    assert cv2.imwrite(str(target), turned_pixels(photo.pixels, turn)[..., ::-1])
    return target


# ------------------------------------------------------------ what a turn does


def test_turns_are_the_eight_ways_to_lay_a_photo() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (3, 5, 3), np.uint8)
    assert len({turned_pixels(pixels, turn).tobytes() + bytes([turn % 2]) for turn in TURNS}) == 8
    for first in TURNS:
        assert after(first, back(first)) == after(back(first), first) == 0
        for then in TURNS:
            both = turned_pixels(turned_pixels(pixels, first), then)
            assert np.array_equal(both, turned_pixels(pixels, after(first, then))), (first, then)
    four = pixels
    for _ in range(4):
        four = turned_pixels(four, 1)
    assert np.array_equal(four, pixels)
    clockwise = turned_pixels(np.arange(6).reshape(2, 3), 1)
    assert clockwise.tolist() == [[3, 0], [4, 1], [5, 2]] and degrees(1) == 90


def test_points_lie_where_their_pixels_do() -> None:
    pixels = np.arange(35).reshape(5, 7)
    places = np.array([(x, y) for y in range(5) for x in range(7)])
    for turn in TURNS:
        x, y = np.rint(turned_points(places, turn, (7, 5))).astype(int).T
        assert turned_pixels(pixels, turn)[y, x].tolist() == pixels.ravel().tolist()
    one = turned(Photo("", np.zeros((50, 70, 3), np.uint8), 700, 500), 1)
    assert (one.width, one.height, one.pixels.shape, one.reduction) == (500, 700, (70, 50, 3), 10.0)


def test_what_describes_a_turned_photo_follows_from_what_describes_it(made: Path) -> None:
    """To rounding: the same patches, described in the turned photo and turned after they were described."""
    grey = cv2.imread(str(made / "bank-1.jpg"), cv2.IMREAD_GRAYSCALE)
    height, width = grey.shape
    rng, sift = np.random.default_rng(0), cv2.SIFT_create(contrastThreshold=0)
    places = np.stack([rng.integers(60, side - 60, 300) for side in (width, height)], 1)

    def described(turn: int) -> np.ndarray:
        there = turned_points(places, turn, (width, height))
        points = [cv2.KeyPoint(round(x), round(y), 4.0, 0.0, 1.0, 0, -1) for x, y in there.tolist()]
        return sift.compute(turned_pixels(grey, turn), points)[1].astype(np.uint8)

    as_it_is = described(0)
    for turn in TURNS:
        there = described(turn)
        assert np.abs(as_it_is[:, turned_order(turn)].astype(int) - there).mean() < 0.01
        for kind in ("sparse", "dense"):
            close = unit_rows(turned_descriptors(reduce(as_it_is, kind), kind, turn).astype(float))
            assert (close * unit_rows(reduce(there, kind).astype(float))).sum(1).min() > 0.98, (turn, kind)


def test_stored_features_tell_how_the_turned_photo_is_described(made: Path) -> None:
    """Nearly every point of the turned photo is one of those of the photo, at its turned place, looking the same."""
    photo = photo_of(made / "chapel-1.jpg")
    features, raw_global = CLASSIC.extract(photo)
    for turn in (1, 2, 3, 4, 7):
        wanted, _ = CLASSIC.extract(turned(photo, turn))
        found, grid = CLASSIC.turned(features, raw_global, turn, (photo.width, photo.height))
        assert np.allclose(found.view, wanted.view, atol=1.0)
        apart = np.linalg.norm(found.keypoints[:500, None] - wanted.keypoints[None], axis=2)
        near = apart.argmin(1)
        kept = apart.min(1) < 1.0
        assert kept.mean() > 0.85
        alike = unit_rows(found.descriptors[:500].astype(float)) * unit_rows(wanted.descriptors[near].astype(float))
        assert np.median(alike.sum(1)[kept]) > 0.99
        assert len(grid) == len(raw_global)


def test_most_photos_look_upright(made: Path) -> None:
    """A hint that decides nothing alone; made photos are unlike those that it was learned from."""
    chances = []
    for name in ("bank-1", "chapel-1", "mill-front-1", "other-5", "other-6", "other-7"):
        features, raw_global = CLASSIC.extract(photo_of(made / f"{name}.jpg"))
        chance = likelihoods(features, raw_global)
        assert np.allclose([chance[:4].sum(), chance[4:].sum()], 1)
        turned_chance = likelihoods(*CLASSIC.extract(turned(photo_of(made / f"{name}.jpg"), 1)))
        assert np.allclose(turned_chance[3], chance[0], atol=0.1)  # what makes it upright then
        chances.append(chance[0])
    assert np.mean(chances) > 0.3, chances


def test_a_photo_is_described_as_its_turned_pixels_are(made: Path, tmp_path: Path) -> None:
    """As `train --preset` does: to the bit what the upright file would give."""
    photo = photo_of(made / "bank-2.jpg")
    file = put(photo, 1, tmp_path / "bank.png")
    settings = load({"home": tmp_path / "lmr", "workers": 1})[0]
    settings.home.mkdir()
    with create_ledger(settings.home / "ledger.sqlite", "x", settings, CLASSIC) as ledger:
        collection = Stores(settings, ledger, Silent())
        found = list(find([file]))
        extract(collection, found, lambda item: None, None, Ingested(), False, {found[0].path: Stored(turn=3)})
        collection.rest()
        image = ledger.images.numbered(1)
        features, raw_global = CLASSIC.extract(photo)
        assert (image.turn, image.width, image.height) == (3, photo.width, photo.height)
        assert ledger.features.local(1) == pack(features)
        assert ledger.features.raw_global(1) == raw_global.tobytes()


# ------------------------------------------------------------ found, kept, shown


OTHERS = (5, 6)  # made so small, other-7 has a front so regular that its mirror image is matched as well


def chosen(source: Path, folder: Path, others: Sequence[int] = (5, 6, 7)) -> dict[str, tuple[Path, int]]:
    """A small collection's files, of which two are turned and one is mirrored; those with the turn that mends them."""
    folder.mkdir()
    names = [f"{place}-{k}" for place in ("bank", "chapel", "school") for k in range(5)]
    names += [f"other-{k}" for k in others]
    laid = {"bank-1": 1, "school-2": 2, "chapel-2": 4}
    mended = {}
    for name in names:
        if name in laid:
            mended[name] = put(photo_of(source / f"{name}.jpg"), laid[name], folder / f"{name}.png"), back(laid[name])
        else:
            shutil.copy(source / f"{name}.jpg", folder)
    return mended


def pairs_of(collection: Stores) -> dict[frozenset[str], tuple]:
    ids = {image.number: image.id for image in collection.ledger.images.all()}
    rows = collection.ledger.pairs.rows()
    return {frozenset((ids[r.a], ids[r.b])): (r.verification, r.excluded, r.weight) for r in rows}


def test_turned_photos_are_found_from_outside_and_at_link(
    little: Path, blank: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mended = chosen(little, tmp_path / "photos", OTHERS)
    blank("ingest", tmp_path / "photos", "--labels", little / "labels.csv")
    assert blank.json("link", "--no-turns")["turned"] == []
    with Stores.open(load({"home": blank.home})[0]) as collection:
        before = pairs_of(collection)

    turned_now = {one["path"]: (one["turn"], one["mirrored"]) for one in blank.json("link")["turned"]}
    assert turned_now == {str(path): (degrees(turn), turn >= 4) for path, turn in mended.values()}
    assert blank.json("link")["rounds"] == []
    for turn in (0, 1, 3, 4):
        file = put(photo_of(little / "bank-query.jpg"), turn, tmp_path / f"query-{turn}.png")
        found = blank.json("search", file, "--top", 3)
        assert (found["query"]["turn"], found["query"]["mirrored"]) == (degrees(back(turn)), turn == 4), turn
        assert places(found) == {"bank"}, turn
    noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    file = put(Photo("", noise, 640, 480), 0, tmp_path / "noise.png")
    with Stores.open(load({"home": blank.home})[0]) as collection, monkeypatch.context() as patch:
        patch.setattr(turning, "chances", lambda *_: np.eye(8)[2])  # it looks upside down, and matches nothing
        assert query_of_photo(collection, file, file.read_bytes()).turn == 0
    page = tmp_path / "page.html"
    told = blank.run("search", tmp_path / "query-1.png", "--top", 3, "--html", page)
    assert "lies on its side: searched turned by 270°" in told.stderr
    assert "lies on its side" in page.read_text()
    first = cv2.imread(str(sorted((tmp_path / "page.files").glob("*.jpg"))[-1]))
    assert first.shape[1] > first.shape[0]  # as it is upright

    ids = {name: blank.json("search", path, "--top", 1)["query"]["id"] for name, (path, _) in mended.items()}
    with Stores.open(load({"home": blank.home})[0]) as collection:
        assert check(collection) == []
        after_it, gone = pairs_of(collection), set(ids.values())
        upright = {pair: outcome for pair, outcome in before.items() if not pair & gone}
        assert upright and all(after_it[pair][::2] == outcome[::2] for pair, outcome in upright.items())
        for name, (_, turn) in mended.items():
            image = collection.ledger.images.get(ids[name])
            photo = photo_of(little / f"{name}.jpg")
            assert image is not None and (image.turn, image.width, image.height) == (turn, photo.width, photo.height)
            pictures = Pictures(collection, query_of_stored(collection, image.id))
            assert np.array_equal(pictures.pixels(image.id)[0], photo.pixels)
    for name in mended:  # from it, and to it
        place = name.split("-")[0]
        other = tmp_path / "photos" / f"{place}-0.jpg"
        there = blank.json("search", other, "--top", 4)["results"]
        assert ids[name] in {row["id"] for row in there if row["reached"] == "verified"}
        assert places(blank.json("search", ids[name], "--top", 3)) == {place}

    listed = [one for one in blank.json("review") if "turn" in one]
    assert {one["id"]: one["turn"] for one in listed} == {
        ids[name]: degrees(turn) for name, (_, turn) in mended.items()
    }
    review = tmp_path / "review.html"
    blank("review", "--html", review)
    assert "is mirrored" in review.read_text() and "is upside down" in review.read_text()

    blank("turn", ids["bank-1"], 0)  # a person says otherwise
    assert blank.json("link")["turned"] == []
    assert ids["bank-1"] not in {one.get("id") for one in blank.json("review")}
    with Stores.open(load({"home": blank.home})[0]) as collection:
        assert check(collection) == []
        image = collection.ledger.images.get(ids["bank-1"])
        assert image is not None and image.turn == 0
    blank("turn", ids["bank-1"], 270)
    blank("link")
    there = blank.json("search", tmp_path / "photos" / "bank-0.jpg", "--top", 4)["results"]
    assert ids["bank-1"] in {row["id"] for row in there if row["reached"] == "verified"}
    assert blank.run("turn", ids["bank-1"], 45).returncode == 2
    assert check_of(blank) == []


def places(found: dict) -> set[str]:
    """What the results of a search show, by their names."""
    return {Path(row["paths"][0]).name.split("-")[0] for row in found["results"]}


def check_of(cli: Cli) -> list:
    with Stores.open(load({"home": cli.home})[0]) as collection:
        return check(collection)


def test_a_link_that_is_cut_short_turns_the_same(
    little: Path, servers: dict[str, str], running: tuple[Graph, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each transaction of the ledger fails once, before or after it is durable; then all is as after a calm link."""
    monkeypatch.setattr(Stores, "executor", Here())
    chosen(little, tmp_path / "photos", OTHERS)
    calm_home, home = tmp_path / "calm", tmp_path / "shaken"
    with Stores.open(load({"home": calm_home})[0], create=True) as calm:
        ingest(calm, [tmp_path / "photos"])
        copy_ledger(calm_home, home)
        assert len(link(calm).turned) == 3
        assert check(calm) == []
        wanted = turns_of(calm), pairs_of(calm)
    forget(running)  # the shaken one has the servers to itself
    transaction, seen, at = Ledger.transaction, 0, 0

    @contextmanager
    def failing(ledger: Ledger) -> Iterator[None]:
        nonlocal seen
        seen += 1
        with transaction(ledger):
            yield
            if seen == at and at % 2:
                raise Fault
        if seen == at:
            raise Fault

    monkeypatch.setattr(Ledger, "transaction", failing)
    cut = 0
    with Stores.open(load({"home": home})[0]) as shaken:
        for k in range(1, 100):
            at, seen = k, 0
            try:
                link(shaken)
            except Fault:
                cut += 1
                continue
            if seen < at:
                break
        at = 0
        assert cut >= 6
        assert check(shaken) == []
        assert (turns_of(shaken), pairs_of(shaken)) == wanted
        assert sorted(turns_of(shaken).values())[-3:] == [2, 3, 4]


def turns_of(collection: Stores) -> dict[str, int]:
    return {image.id: image.turn for image in collection.ledger.images.all()}
