"""Which parts of lmr may import which others."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import lmr

ROOT = Path(lmr.__file__).parent
NOT_BY_METHOD = {"lmr.store", "lmr.local", "lmr.jobs", "lmr.retrieval", "lmr.cli", "neo4j", "pymilvus", "sqlite3"}
RULES = [
    ("method", NOT_BY_METHOD),
    ("method/review", {"lmr.settings"}),
    ("method/expansion", {"lmr.settings"}),
    ("method/spanning", {"lmr.settings"}),
    ("method/verification", {"lmr.settings"}),
    ("store", {"lmr.retrieval", "lmr.cli"}),
    ("jobs", {"lmr.cli"}),
    ("retrieval", {"lmr.cli"}),
]


def imported(file: Path) -> set[str]:
    """Full names of what a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize(("room", "forbidden"), RULES, ids=[room for room, _ in RULES])
def test_a_room_imports_nothing_from_those_above_it(room: str, forbidden: set[str]) -> None:
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    wrong = {
        (str(file.relative_to(ROOT)), name)
        for file in files
        for name in imported(file)
        if any(f"{name}.".startswith(f"{one}.") for one in forbidden)
    }
    assert not wrong
