"""Places that look alike: the rule against plain references, and a collection of made ones from photos to rankings."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lmr
from benchmarks.lookalikes import KINDS, build, relation
from lmr.method.review.look_alikes import LOOK_ALIKES, lacks, of_one_place, pairs_apart, places, shown_again
from lmr.retrieval.query import query_of_photo, query_of_stored
from lmr.retrieval.values import SearchBudget
from lmr.store.reviewing import review
from lmr.store.shown import packed, unpacked
from lmr.values import Array, Excluded, Shown

SIDE = 32
FRAME = np.array([0.0, 0.0, 640.0, 480.0])


# ------------------------------------------------------------ what a match shows again


def shares_one_by_one(cells: Array, maps: Array, view: Array, views: Array) -> list[float]:
    """Plain: each cell that another match shows, and whether this one shows it or one beside it."""
    found = []
    for k in range(len(cells)):
        known = again = 0
        for row in range(SIDE):
            for column in range(SIDE):
                if not any(cells[other, row, column] for other in range(len(cells)) if other != k):
                    continue
                at = np.array([column + 0.5, row + 0.5]) / SIDE * view[2:] + view[:2]
                there = (maps[k, :, :2] @ at + maps[k, :, 2] - views[k, :2]) / views[k, 2:]
                if (there <= LOOK_ALIKES.margin).any() or (there >= 1 - LOOK_ALIKES.margin).any():
                    continue
                known += 1
                beside = cells[k, max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
                again += bool(beside.any())
        found.append(1.0 if known < LOOK_ALIKES.least else again / known)
    return found


@given(st.integers(0, 2**32 - 1))
def test_what_is_shown_again_is_counted_as_one_by_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    k = int(rng.integers(1, 5))
    cells = rng.random((k, SIDE, SIDE)) < rng.uniform(0.005, 0.2)
    turns = rng.uniform(-0.4, 0.4, (k, 2, 2)) + np.eye(2) * rng.uniform(0.5, 2)
    maps = np.concatenate([turns, rng.uniform(-200, 200, (k, 2, 1))], 2)
    views = np.concatenate([rng.uniform(0, 40, (k, 2)), rng.uniform(200, 900, (k, 2))], 1)
    found = shown_again(cells, maps, FRAME, views)
    assert found == pytest.approx(shares_one_by_one(cells, maps, FRAME, views), abs=1e-12)


def test_a_match_over_a_part_lacks_the_rest_and_one_that_sees_no_rest_does_not() -> None:
    cells = np.zeros((3, SIDE, SIDE), bool)
    cells[0, :, :20], cells[1, :, :24], cells[2, :, 28:] = True, True, True  # the last shows a tower at the right
    straight = np.repeat(np.eye(2, 3)[None], 3, 0)
    share = shown_again(cells, straight, FRAME, np.repeat(FRAME[None], 3, 0))
    assert min(share[:2]) > 0.7 and share[2] < 0.05
    assert lacks(share, np.full(3, 200.0)).tolist() == [False, False, True]
    views = np.repeat(FRAME[None], 3, 0)
    views[2] = (28 / 32 * 640, 0, 4 / 32 * 640, 480)  # nothing but the tower is in its view
    assert shown_again(cells, straight, FRAME, views)[2] == 1


def test_weak_matches_may_lack_more() -> None:
    share = np.full(4, 0.2)
    assert lacks(share, np.array([3.0, 20.0, 100.0, 900.0])).tolist() == [False, False, True, True]
    assert not lacks(np.ones(2), np.array([0.0, 1e9])).any()


def test_what_a_match_shows_is_kept_as_it_is() -> None:
    cells = np.packbits(np.random.default_rng(0).random((2, SIDE * SIDE)) < 0.3, axis=1)
    shown = Shown(12.5, (0.0, 3.0, 640.0, 480.0), cells[0].tobytes(), (1.0, 0.0, 200.0, 100.0), cells[1].tobytes())
    assert unpacked(packed(shown)) == shown


# ------------------------------------------------------------ groups


def grown(a: list[int], b: list[int], lacking: list[bool], confirmed: list[bool], count: int) -> list[set[int]]:
    """Plain: all that speaks for and against any two groups is added up anew for each match, the strongest first."""
    groups = [{image} for image in range(count)]

    def says(k: int) -> float:
        by = LOOK_ALIKES
        return -np.inf if confirmed[k] else by.lacking if lacking[k] else by.showing

    for one, other in zip(a, b, strict=True):
        first = next(group for group in groups if one in group)
        second = next(group for group in groups if other in group)
        if first is second:
            continue
        between = [k for k in range(len(a)) if ({a[k], b[k]} & first) and ({a[k], b[k]} & second)]
        if round(sum(says(k) for k in between), 6) > LOOK_ALIKES.apart:
            continue
        groups.remove(second)
        first |= second
    return groups


@given(st.integers(0, 2**32 - 1))
def test_groups_grow_as_plainly_added_up(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 14))
    ends = np.array([(x, y) for x in range(count) for y in range(x) if rng.random() < 0.7], np.int64).reshape(-1, 2)
    ends = ends[rng.permutation(len(ends))]
    lacking, confirmed = rng.random(len(ends)) < rng.uniform(0.2, 0.9), rng.random(len(ends)) < 0.05
    found = places(ends[:, 0], ends[:, 1], lacking, confirmed, count)
    as_sets = {frozenset(np.flatnonzero(found == name).tolist()) for name in set(found.tolist())}
    assert as_sets == set(map(frozenset, grown(*ends.T.tolist(), lacking.tolist(), confirmed.tolist(), count)))
    assert all(found[name] == name for name in found.tolist()), "a group is named by one of its images"
    other = rng.permutation(count)  # numbers that images happen to have decide nothing
    again = places(other[ends[:, 0]], other[ends[:, 1]], lacking, confirmed, count)
    assert {frozenset(other[list(group)].tolist()) for group in as_sets} == {
        frozenset(np.flatnonzero(again == name).tolist()) for name in set(again.tolist())
    }
    apart = pairs_apart(found, ends[:, 0], ends[:, 1])
    assert apart == {(y, x) for x, y in apart} and all(x != y for x, y in apart)


def test_one_match_that_lacks_something_tells_nothing_apart_and_many_do() -> None:
    """Two groups of five, joined by some matches: (how many lack something, how many do not) -> are they one?"""
    inner = [(x, y) for group in (range(5), range(5, 10)) for x in group for y in group if x < y]
    across = [(x, y) for x in range(5) for y in range(5, 10)]
    for short, whole, together in (
        (1, 0, True),
        (2, 0, True),
        (3, 0, False),
        (3, 1, True),
        (12, 6, False),
        (0, 25, True),
    ):
        ends = np.array([*inner, *across[: short + whole]])
        lacking = np.arange(len(ends)) - len(inner)
        found = places(*ends.T, (lacking >= 0) & (lacking < short), np.zeros(len(ends), bool), 10)
        assert (len(set(found.tolist())) == 1) == together, (short, whole)
        if not together:  # a person's word joins them
            found = places(*ends.T, (lacking >= 0) & (lacking < short), lacking == 0, 10)
            assert len(set(found.tolist())) == 1


def test_a_photo_outside_holds_to_its_strongest_place() -> None:
    place, apart = {1: 1, 2: 1, 3: 3, 4: 3}, {(1, 3), (3, 1)}
    assert of_one_place([(1, 9.0, 0), (3, 8.0, 0), (5, 7.0, 0), (2, 6.0, 0)], place, apart) == {1, 5, 2}
    assert of_one_place([(1, 9.0, 0), (3, 9.0, 1)], place, apart) == {3}, "between equal weights the hash decides"
    assert of_one_place([(1, 9.0, 0), (3, 8.0, 0)], {}, set()) == {1, 3}


# ------------------------------------------------------------ a collection


@pytest.fixture(scope="module")
def alike(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alike") / "photos"
    build(folder, families=1, photos=6, kinds=("towers", "frieze"), alone=6)
    return folder


def joined(c: lmr.Collection) -> Counter[str]:
    """Matches that take part, by how the places of both photos are related."""
    stores = c._stores
    place = {image.number: image.landmark or "alone" for image in stores.ledger.images.all()}
    rows = [row for row in stores.ledger.pairs.rows() if row.weight is not None and row.excluded is None]
    return Counter(relation(place[row.a], place[row.b]) for row in rows)


def excluded(c: lmr.Collection) -> dict[frozenset[str], str | None]:
    """Why each match takes no part."""
    return {frozenset((edge.a, edge.b)): edge.excluded for _, edge in c._stores.ledger.pairs.edges()}


def judge_all_anew(c: lmr.Collection) -> None:
    """The review as if nothing had been judged before."""
    with c._stores.ledger.transaction():
        c._stores.ledger.marks.learned_anew()
        review(c._stores)


def test_places_that_look_alike_are_told_apart(alike: Path, tmp_path: Path, servers: dict[str, str]) -> None:
    photos, labels = sorted(alike.glob("*.jpg")), alike / "labels.csv"
    with lmr.open(tmp_path / "parts") as c:
        for part in (photos[::2], photos[1::2]):  # what has come before is judged anew
            c.ingest(*part, labels=labels)
            c.link()
        counts = joined(c)
        assert not counts["towers: alike"] and not counts["frieze: alike"], counts
        assert min(counts["towers: same"], counts["frieze: same"]) > 20
        stores, first = c._stores, excluded(c)
        told = {pair for pair, reason in first.items() if reason == Excluded.LOOK_ALIKE}
        assert len(told) > 20
        judge_all_anew(c)
        assert excluded(c) == first
        for query in (path for path in photos if path.stem.endswith("-0")):  # query photos: stored, and not stored
            image = stores.ledger.images.get(c.image(query).id)
            stored, outside = (
                query_of_stored(stores, image.id),
                query_of_photo(stores, str(query), query.read_bytes(), SearchBudget(4), turn=image.turn),
            )
            theirs, ours = ({link.id: link.excluded for link in one.links} for one in (stored, outside))
            assert all(theirs[id] == ours[id] for id in theirs.keys() & ours.keys()), query.name
            names = {stores.ledger.images.get(edge.id).landmark for edge in outside.edges}
            assert names <= {query.stem[:-2]}, query.name


def test_a_persons_word_joins_them_and_its_withdrawal_tells_them_apart(
    alike: Path, tmp_path: Path, servers: dict[str, str]
) -> None:
    photos = [path for path in sorted(alike.glob("frieze-*.jpg")) if not path.stem.endswith("-0")]
    with lmr.open(tmp_path / "one") as c:
        c.ingest(*photos, labels=alike / "labels.csv", split="index")
        c.link()
        before = excluded(c)
        told = [sorted(pair) for pair, reason in before.items() if reason == Excluded.LOOK_ALIKE]
        assert told and not joined(c)["frieze: alike"]
        a, b = (lmr.ImageId(id) for id in min(told))
        assert "lacks what else is known" in c.match(a, b).words()
        asked = [one for one in c.review().matches if one.alike]
        assert [one.alike for one in asked] == [len(told)] and asked[0].sizes == (5, 5) and asked[0].differ
        assert "told apart as look-alikes" in c.review().why(asked[0])
        ends = lmr.ImageId(asked[0].a), lmr.ImageId(asked[0].b)
        c.reject(*ends)  # so they are told apart, and nobody is asked again
        assert not [one for one in c.review().matches if one.alike]
        c.withdraw(*ends)
        c.confirm(a, b, why="it is one house")
        assert joined(c)["frieze: alike"] == len(told)
        c.withdraw(a, b)
        assert excluded(c) == before
        c.remove(lmr.ImageId(c.image(photos[0]).id))
        left = excluded(c)
        judge_all_anew(c)
        assert excluded(c) == left, "what is left says the same as if the photo had never come"


def test_all_kinds_are_made() -> None:
    assert set(KINDS) == {"towers", "statue", "frieze", "mirrored"}
    assert relation("towers-0-0", "towers-0-1") == "towers: alike" and relation("alone", "alone") == "other"
    assert relation("towers-0-0", "towers-0-0") == "towers: same" and relation("towers-0-0", "frieze-0-0") == "other"
