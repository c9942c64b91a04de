"""The tree of errors is as lmr/errors.py draws it, and no public error of ours lies elsewhere."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import lmr.errors
from lmr.retrieval.doctor import together

PACKAGE = Path(lmr.errors.__file__).parent


def drawn() -> dict[str, str]:
    """Error -> its base, as the indents of the drawing say."""
    bases, above = {}, {0: "LmrError"}
    for line in (lmr.errors.__doc__ or "").splitlines():
        if found := re.match(r"([│ ]*)[├└]── (\w+)", line):
            depth = len(found[1]) // 4
            bases[found[2]] = above[depth]
            above[depth + 1] = found[2]
    return bases


def classes(path: Path) -> dict[str, str]:
    """Classes in a module that are derived from an error."""
    nodes = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef) and node.bases)
    named = ((node.name, base.id) for node in nodes for base in node.bases if isinstance(base, ast.Name))
    return {name: base for name, base in named if base.endswith("Error")}


def test_the_drawn_tree_is_that_of_the_classes() -> None:
    assert drawn() == classes(PACKAGE / "errors.py") and len(drawn()) > 10
    elsewhere = {name: path for path in PACKAGE.rglob("*.py") if path.name != "errors.py" for name in classes(path)}
    assert {name for name in elsewhere if not name.startswith("_")} == set()


def test_only_the_pair_of_versions_that_lmr_is_made_for_is_well() -> None:
    assert together("5.26.12", "2.13.4").ok
    for neo4j, gds in (("5.26.12", "2.14.0"), ("5.25.1", "2.13.4"), ("2025.10.1", "2.22.0"), ("4.4.1", "1.8.0")):
        found = together(neo4j, gds)
        assert not found.ok and "5.26" in found.found and neo4j in found.found
        assert ("do not belong together" in found.found) == (neo4j.startswith("5.26.") or gds.startswith("2.13."))
