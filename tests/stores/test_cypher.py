from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import neo4j
import pytest

from lmr.errors import QueryFileError
from lmr.store.cypher import parse, queries
from lmr.store.graph import Graph

GOOD = "// Says one thing.\n// params: id\n// returns: n\n// mode: read\nMATCH (n {id: $id}) RETURN n\n"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "q.cypher"
    path.write_text(text)
    return path


def test_a_good_file(tmp_path: Path) -> None:
    query = parse(write(tmp_path, GOOD), "q")
    assert (query.about, query.params, query.returns, query.mode) == ("Says one thing.", ("id",), ("n",), "read")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("// Says one thing.\n", "", "first line"),
        ("$id", "$other", "undeclared other"),
        ("params: id", "params: id, more", "unused more"),
        ("RETURN n", "SET n.x = 1 RETURN n", "declared read but writes"),
        ("RETURN n", "RETURN n; MATCH (m) RETURN m", "more than one statement"),
        ("mode: read", "mode: other", "mode must be"),
        ("returns: n", "returns: zz", "never names"),
        ("// mode: read", "// mode: read\n// hops: 1 2", "belong together"),
        ("// mode: read", "// mode: read\n// mode: read", "twice"),
        ("MATCH (n {id: $id}) RETURN n", "", "no statement"),
    ],
)
def test_header_and_statement_must_agree(tmp_path: Path, old: str, new: str, fault: str) -> None:
    with pytest.raises(QueryFileError, match=fault) as caught:
        parse(write(tmp_path, GOOD.replace(old, new)), "q")
    assert "q.cypher:" in str(caught.value)


def test_strings_and_comments_are_not_code(tmp_path: Path) -> None:
    query = parse(write(tmp_path, GOOD.replace("RETURN n", "WHERE n.x <> 'CREATE $y;' // DELETE $z\nRETURN n")), "q")
    assert (query.params, query.mode) == (("id",), "read")


def test_every_query_is_valid_and_returns_what_it_says(graph: Graph) -> None:
    with neo4j.GraphDatabase.driver(graph.access.uri, auth=(graph.access.username, graph.access.password)) as driver:
        planned = 0
        for query in queries().values():
            if query.mode == "schema" or "gds." in query.text:
                continue
            for hops in (None, *query.bounds):
                values = dict.fromkeys(query.params) | {"limit": 1}
                result = driver.execute_query("EXPLAIN " + query.bounded(hops), values)
                assert set(query.returns) == set(result.keys), query.name
                planned += 1
        assert planned > 60


def operators(plan: dict) -> Iterator[str]:
    yield f"{plan['operatorType'].split('@')[0]} {plan['args'].get('Details', '')}"
    for part in plan.get("children", []):
        yield from operators(part)


@pytest.mark.parametrize(("images", "matched"), [(3, 1), (40, 0), (300, 5)])
def test_no_plan_made_for_a_small_graph_reads_all_of_it_for_each_row(
    write_graph: Callable[..., Graph], images: int, matched: int
) -> None:
    """Plans are kept while a graph grows: one that scans would be quick now and take hours then."""
    ids, rng = [f"{k:06}" for k in range(images)], random.Random(0)
    edges = sorted({tuple(sorted(rng.sample(ids, 2))) for _ in range(matched * images)})
    graph = write_graph(ids, [(a, b, 9 + rng.random()) for a, b in edges])
    graph.write_batches("forest/add", [{"a": a, "b": b} for a, b in edges[: images - 1]])
    small = re.compile(r"Scan (c:Collection|l:Landmark|k:Cluster)$")
    with neo4j.GraphDatabase.driver(graph.access.uri, auth=(graph.access.username, graph.access.password)) as driver:
        driver.execute_query("CALL db.clearQueryCaches()")
        looked_up = [q for q in queries().values() if q.name.startswith("ranking/") or "UNWIND $" in q.text]
        assert len(looked_up) > 14
        for query in looked_up:
            plan = driver.execute_query(
                "EXPLAIN " + query.bounded((*query.bounds, None)[0]), dict.fromkeys(query.params) | {"limit": 1}
            )
            found = [name for name in operators(plan.summary.plan) if "Scan" in name and not small.search(name)]
            assert found == [], query.name
