from __future__ import annotations

from pathlib import Path

import pytest

from lmr.errors import QueryFileError
from lmr.stores.cypher import parse, queries
from lmr.stores.graph import Graph

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
    parse(write(tmp_path, GOOD.replace("RETURN n", "WHERE n.x <> 'CREATE $y;' // DELETE $z\nRETURN n")), "q")


def test_every_query_is_valid_and_returns_what_it_says(graph: Graph) -> None:
    import neo4j

    with neo4j.GraphDatabase.driver(graph.access.uri, auth=(graph.access.username, graph.access.password)) as driver:
        for query in queries().values():
            if query.mode == "schema" or "gds." in query.text:
                continue
            for hops in (None, *query.bounds):
                values = dict.fromkeys(query.params) | {"limit": 1}
                result = driver.execute_query("EXPLAIN " + query.bounded(hops), values)
                assert set(query.returns) <= set(result.keys) or not query.returns, query.name
