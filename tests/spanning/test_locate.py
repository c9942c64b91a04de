"""Suggested places against positions that are known, in made worlds with wrong matches and wrong positions."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable

import pytest

from lmr.method.spanning.locate import Suggestion, suggest
from lmr.where import metres

Links = dict[int, list[tuple[int, int]]]
Places = dict[int, tuple[float, float]]


def moved(place: tuple[float, float], north: float, east: float) -> tuple[float, float]:
    """A position so many metres away."""
    shrunk = max(math.cos(math.radians(place[0])), 1e-6)
    return place[0] + north / 111_195, (place[1] + east / 111_195 / shrunk + 180) % 360 - 180


def linked(edges: list[tuple[int, int, int]]) -> Links:
    found: Links = {}
    for a, b, inliers in edges:
        found.setdefault(a, []).append((b, inliers))
        found.setdefault(b, []).append((a, inliers))
    return found


def asked(start: int, links: Links, place_of: Callable[[int], tuple[float, float] | None]) -> Suggestion[int] | None:
    return suggest(start, lambda id: links.get(id, []), place_of)


def world(seed: int, wrong: float = 0.05) -> tuple[Places, Links]:
    """60 landmarks with photos some 50 m around each (as many as 20), matches among them, and some wrong ones."""
    rng = random.Random(seed)
    places: Places = {}
    edges = []
    for _ in range(60):
        centre = rng.uniform(-75, 75), rng.choice([rng.uniform(-180, 180), 179.9999])
        group = range(len(places), len(places) + rng.randint(2, 20))
        places |= {k: moved(centre, rng.gauss(0, 50), rng.gauss(0, 50)) for k in group}
        for a in group:
            near = sorted((k for k in group if k != a), key=lambda k: metres(places[a], places[k]))
            edges += [(a, b, int(rng.expovariate(1 / 60)) + 8) for b in near[:4] if rng.random() < 0.7]
    for _ in range(int(wrong * len(edges))):
        a, b = rng.sample(list(places), 2)
        edges.append((a, b, int(rng.expovariate(1 / 10)) + 8))
    return places, linked(edges)


@pytest.mark.parametrize("seed", range(3))
def test_positions_that_were_taken_away_are_found_again(seed: int) -> None:
    places, links = world(seed)
    hidden = random.Random(seed).sample(list(places), len(places) // 5)
    known = {k: place for k, place in places.items() if k not in set(hidden)}
    errors, sure = [], []
    for k in hidden:
        found = asked(k, links, known.get)
        if found is not None:
            errors.append(metres(found.place, places[k]))
            if found.confidence > 0.6:
                sure.append(errors[-1])
    print(
        f"{len(errors)} of {len(hidden)} found, median error {statistics.median(errors):.0f} m, 95 %: "
        f"{sorted(errors)[int(0.95 * len(errors))]:,.0f} m; of the {len(sure)} sure ones the worst {max(sure):,.0f} m"
    )
    assert len(errors) > 0.9 * len(hidden)
    assert statistics.median(errors) < 70
    assert sum(error > 1000 for error in errors) <= 0.06 * len(errors)
    assert max(sure) < 1000


def test_one_wrong_match_moves_nothing_and_is_named() -> None:
    here = 48.85, 2.29
    known = {k: moved(here, 40 * math.sin(k), 40 * math.cos(k)) for k in range(1, 5)} | {9: (41.9, 12.5)}
    for inliers in (10, 100, 5000):
        links = {0: [*((k, 30) for k in range(1, 5)), (9, inliers)]}
        found = asked(0, links, known.get)
        assert found is not None and metres(found.place, here) < 60 and found.spread is not None and found.spread < 100
        assert [one.id for one in found.witnesses if one.outlier] == [9]
        assert found.confidence < 0.8


def test_hops_are_made_only_where_direct_matches_are_few_and_count_less() -> None:
    here = 48.85, 2.29
    links = linked([(0, 1, 50), (1, 2, 50), (2, 3, 20), (3, 4, 50), (4, 5, 50)])
    known = {3: here, 5: moved(here, 500, 0)}
    found = asked(0, links, known.get)
    assert found is not None and found.place == pytest.approx(here) and found.spread is None
    assert [(one.id, one.hops, one.inliers) for one in found.witnesses] == [(3, 3, 20)]
    assert found.confidence == pytest.approx(1 / 8)
    near = asked(2, links, known.get)
    assert near is not None and near.confidence == pytest.approx(1 / 2) and near.witnesses[0].id == 3
    many = linked([(0, k, 20) for k in (1, 2, 3)] + [(1, 4, 90)])
    direct = asked(0, many, dict.fromkeys(range(1, 5), here).get)
    assert direct is not None and {one.id for one in direct.witnesses} == {1, 2, 3}
    assert suggest(0, lambda id: [], known.get) is None
    assert suggest(0, lambda id: links.get(id, []), {}.get) is None


def test_places_across_the_date_line_and_at_a_pole() -> None:
    for here in ((-16.8, 180.0), (89.9999, 20.0)):
        known = {k: moved(here, 30 * math.sin(k), 30 * math.cos(k)) for k in range(1, 9)}
        links = {0: [(k, 20) for k in known]}
        found = asked(0, links, known.get)
        assert found is not None and metres(found.place, here) < 60 and not any(one.outlier for one in found.witnesses)


def test_the_place_is_one_from_which_no_step_is_better() -> None:
    rng = random.Random(5)
    for _ in range(20):
        known = {k: moved((48.0, 2.0), rng.gauss(0, 100), rng.gauss(0, 100)) for k in range(1, 8)}
        links = {0: [(k, 30) for k in known]}
        found = asked(0, links, known.get)
        assert found is not None

        costs = []
        for north, east in ((0, 0), (3, 0), (-3, 0), (0, 3), (0, -3)):
            place = moved(found.place, north, east)
            costs.append(sum(metres(place, other) for other in known.values()))
        assert costs[0] < min(costs[1:]) + 0.1
