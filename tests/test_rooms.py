"""Which parts of lmr may import which others."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import lmr

ROOT = Path(lmr.__file__).parent
NOT_BY_METHOD = {"lmr.settings", "lmr.store", "lmr.local", "lmr.jobs", "neo4j", "pymilvus", "sqlite3"}
ROOMS = (
    "outputs",
    "method",
    "extractors",
    "inputs",
    "execution",
    "local",
    "store",
    "retrieval",
    "jobs",
    "reports",
    "library",
    "web",
    "cli",
)
RULES = [
    ("method", NOT_BY_METHOD),
    *((room, {f"lmr.{above}" for above in ROOMS[k + 1 :]}) for k, room in enumerate(ROOMS)),
]


def imported(file: Path) -> set[str]:
    """Full names of what a file imports, anywhere in it."""
    return imported_by(ast.parse(file.read_text()), file)


def imported_by(program: ast.Module, file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(program):
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


@pytest.mark.parametrize("skin", ["web", "cli"])
def test_the_skins_call_the_library_alone(skin: str) -> None:
    """It may name the types of what it gets; the demo makes its photos by itself."""
    below = {"extractors", "execution", "local", "store", "retrieval", "jobs", "reports"}
    for file in sorted((ROOT / skin).glob("*.py")):
        used = ast.parse(file.read_text())
        used.body = [node for node in used.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node))]
        rooms = {name.split(".")[1] for name in imported_by(used, file) if name.startswith("lmr.")}
        assert not rooms & below, file
        assert "method" not in rooms or file.name == "demo.py", file


def test_every_room_is_known() -> None:
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} == set(ROOMS)


def test_no_module_is_imported_by_what_it_imports() -> None:
    """At the time of import; inside functions a few import each other late, where that saves a second."""
    files = {_name(file): file for file in ROOT.rglob("*.py")}
    imports = {name: _at_once(file) & files.keys() for name, file in files.items()}
    waiting = dict(imports)
    while free := [name for name, others in waiting.items() if not others & waiting.keys()]:
        for name in free:
            del waiting[name]
    assert not waiting, "these import each other, or what does"


def _name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")


def _at_once(file: Path) -> set[str]:
    """Modules, and the names that may be modules, which a file imports when it is imported."""
    found: set[str] = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return found
