"""When and where images were taken, in the real database: written, changed, found by index, against plain Python."""

from __future__ import annotations

import random
from collections.abc import Callable

import neo4j
import pytest

from lmr.method.photos.about import About
from lmr.store.cypher import queries
from lmr.store.graph import Graph, facts_row
from lmr.where import Where, first_instant, last_instant, metres

BLANK = {"paths": [], "name": "", "width": 1, "height": 1, "split": "index", "landmark": None}


def written(graph: Graph, abouts: dict[str, About]) -> None:
    graph.write_batches(
        "write/images",
        [{"id": id, "number": k, **BLANK, **facts_row(about)} for k, (id, about) in enumerate(abouts.items())],
    )


def everywhere(seed: int, count: int = 300) -> dict[str, tuple[float, float]]:
    """Positions in clumps, also around the poles and across the date line."""
    rng = random.Random(seed)
    clumps = [(48.85, 2.29), (-16.8, 179.999), (-16.8, -179.999), (89.995, 30.0), (-89.999, -120.0), (0.001, 0.01)]
    found = {}
    for k in range(count):
        north, east = rng.choice(clumps)
        place = north + rng.gauss(0, 0.01), east + rng.gauss(0, 0.02)
        found[f"{k:04}"] = (max(min(place[0], 90.0), -90.0), (place[1] + 180) % 360 - 180)
    return found


def test_facts_are_written_changed_and_taken_away(write_graph: Callable[..., Graph]) -> None:
    graph = write_graph(["a"], [])
    known = About("1905-02", None, 48.5, 2.25, True, "X100", "a tower", ("one", "two"))
    for about in (About(), known, About("2010-05-06T10:11:00"), About()):
        written(graph, {"a": about})
        row = graph.run("read/images")[0]
        times = [row[name].to_native().isoformat() if row[name] else None for name in ("taken_at", "taken_until")]
        assert [*times, *row["facts"]] == list(facts_row(about).values())


def test_near_is_exact_also_at_poles_and_date_line(write_graph: Callable[..., Graph]) -> None:
    places = everywhere(1)
    graph = write_graph(list(places), [])
    written(graph, {id: About(latitude=north, longitude=east) for id, (north, east) in places.items()})
    for centre in ((48.85, 2.29), (-16.8, 180.0), (-16.8, -179.99), (90.0, 0.0), (-90.0, 77.0), (0.0, 0.0)):
        for within in (500.0, 1500.0, 40_000.0):
            rows = graph.run("analyst/near", latitude=centre[0], longitude=str(centre[1]), metres=within, limit=1000)
            far = {id: metres(place, centre) for id, place in places.items()}
            assert {row["id"] for row in rows} == {id for id, value in far.items() if value <= within}
            assert [row["metres"] for row in rows] == sorted(row["metres"] for row in rows)
            assert all(row["metres"] == pytest.approx(far[row["id"]], rel=2e-3, abs=1) for row in rows)
            passing = Where(near=centre, within=within)
            assert {id for id, place in places.items() if passing.passes(None, *place)} == {row["id"] for row in rows}


def test_between_times_holds_the_whole_of_what_is_named(write_graph: Callable[..., Graph]) -> None:
    rng = random.Random(2)
    times = {}
    for k in range(200):
        whole = f"{rng.choice([1904, 1905, 1906])}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}T10:11:12"
        times[f"{k:04}"] = whole[: rng.choice([4, 7, 10, 16, 19])]
    graph = write_graph(list(times), [])
    written(graph, {id: About(at) for id, at in times.items()})
    for since, until in (
        ("1905", "1905"),
        ("1905-02", "1905-11"),
        ("1904-05-06", "1904-05-06"),
        ("1904-12-31", "1906"),
    ):
        rows = graph.run(
            "analyst/between-times", **{"from": int(since) if len(since) == 4 else since, "to": until, "limit": 1000}
        )
        asked = Where(first=first_instant(since), last=last_instant(until))
        assert {row["id"] for row in rows} == {id for id, at in times.items() if asked.passes(at, None, None)}
    assert graph.run("analyst/between-times", **{"from": "yesterday", "to": "x", "limit": 9}) == []


def test_matches_far_apart_and_clusters_with_their_middle(write_graph: Callable[..., Graph]) -> None:
    graph = write_graph(["a", "b", "c", "d"], [("a", "b", 9.0), ("a", "c", 8.0), ("c", "d", 7.0), ("a", "d", 6.0)])
    line = {"a": About(latitude=-16.8, longitude=179.99, from_camera=True)}
    line["b"] = About(latitude=-16.8, longitude=-179.99, from_camera=True)
    line["c"] = About(latitude=-16.9, longitude=179.99, from_camera=True)
    line["d"] = About(latitude=48.0, longitude=2.0)
    written(graph, line)
    rows = graph.run("analyst/far-apart", metres=3000, limit=9)
    assert [(row["a"], row["b"], round(row["metres"], -3)) for row in rows] == [("a", "c", 11_000)]
    graph.run("write/edges", rows=[{"a": "a", "b": "c", "properties": {"excluded": "rejected"}}], seen=1)
    assert graph.run("analyst/far-apart", metres=3000, limit=9) == []
    with neo4j.GraphDatabase.driver(graph.access.uri, auth=(graph.access.username, graph.access.password)) as driver:
        driver.execute_query(
            "CREATE (k:Cluster {id: 'k', size: 3}) WITH k MATCH (i:Image) WHERE i.id IN ['a', 'b'] CREATE (i)-[:IN]->(k)"
        )
    (row,) = graph.run("analyst/located-clusters", limit=9)
    assert row["located"] == 2 and abs(abs(row["longitude"]) - 180) < 1e-6
    assert row["metres"] == pytest.approx(metres((-16.8, 179.99), (-16.8, 180.0)), rel=0.01)


@pytest.mark.parametrize("name", ["near", "between-times", "far-apart"])
def test_places_and_times_are_found_by_index(graph: Graph, name: str) -> None:
    query = queries()[f"analyst/{name}"]
    values = {"latitude": 1, "longitude": 1, "metres": 5, "from": 1990, "to": 1991, "limit": 9}
    with neo4j.GraphDatabase.driver(graph.access.uri, auth=(graph.access.username, graph.access.password)) as driver:
        plan = driver.execute_query("EXPLAIN " + query.text, values).summary.plan

    def operators(part: dict) -> list[str]:
        return [part["operatorType"], *(name for child in part.get("children", []) for name in operators(child))]

    found = operators(plan)
    assert any("NodeIndexSeek" in operator for operator in found) and not any("Scan" in operator for operator in found)
