"""The examples in the docstrings of every public name, run as a user would run them."""

from __future__ import annotations

import contextlib
import doctest
import inspect
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import lmr
from lmr.store.graph import Graph
from tests.conftest import on_servers

PHOTOS = {
    "front": "town-hall-front-1",
    "front-2": "town-hall-front-2",
    "corner-4": "town-hall-corner-4",
    "corner-5": "town-hall-corner-5",
    "corner-6": "town-hall-corner-6",
    "corner-7": "town-hall-corner-7",
    "side-8": "town-hall-side-8",
    "side": "town-hall-side-9",
    **{f"bank-{k}": f"bank-{k}" for k in range(1, 5)},
    "query": "town-hall-query",
}


def members(value: Any) -> Iterator[tuple[str, Any]]:
    """Public methods and properties of a class, inherited ones of ours included."""
    for name, member in inspect.getmembers(value):
        function = getattr(member, "fget", None) or getattr(member, "func", None) or member
        if not name.startswith("_") and str(getattr(function, "__module__", "")).startswith("lmr"):
            yield name, member


def public() -> dict[str, Any]:
    """What has to have an example: all public names but errors and small values, with their methods."""
    found: dict[str, Any] = {}
    for name in lmr.__all__:
        value = getattr(lmr, name)
        if inspect.isclass(value) and issubclass(value, Exception):
            continue
        found[name] = value
        if inspect.isclass(value) and value.__module__.startswith("lmr.library"):
            found |= {f"{name}.{member}": one for member, one in members(value)}
    return found


@pytest.fixture(scope="module")
def examples(running: tuple[Graph, str], made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict]:
    """What examples may name: `lmr`, an open collection `c`, and files in the current folder."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "photos").mkdir()
    rows = ["image,landmark,split"]
    for name, source in PHOTOS.items():
        shutil.copy(made / f"{source}.jpg", folder / "photos" / f"{name}.jpg")
        place = "bank" if name.startswith("bank") else "town-hall"
        rows.append(f"{name}.jpg,{place},{'query' if name == 'query' else 'index'}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    shutil.copy(made / "town-hall-front-3.jpg", folder / "one.jpg")
    none = {"LMR_CHECKPOINTS": str(folder / "checkpoints")}  # not those of the one who runs the tests
    with (
        mock.patch.dict(os.environ, none),
        on_servers(running),
        contextlib.chdir(folder),
        lmr.open("paris", workers=1) as c,
    ):
        c.ingest("photos", labels="labels.csv")
        c.link()
        yield {"lmr": lmr, "c": c}


@pytest.mark.parametrize("name", public())
def test_every_public_name_has_an_example_that_runs(name: str, examples: dict) -> None:
    text = inspect.getdoc(public()[name]) or ""
    test = doctest.DocTestParser().get_doctest(text, dict(examples), name, None, 0)
    assert test.examples, f"{name} has no example"
    told = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    assert runner.run(test, out=told.write).failed == 0, told.getvalue()


def test_every_error_is_public() -> None:
    from lmr import errors

    ours = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)}
    assert ours == {name for name in lmr.__all__ if getattr(lmr, name) in vars(errors).values()}
    assert all(issubclass(getattr(lmr, name), lmr.LmrError) for name in ours)
    drawn = errors.__doc__ or ""
    assert all(name in drawn for name in ours)


def test_every_command_has_a_library_call() -> None:
    """By its name, but for those that are named after what they hand over, or open a browser."""
    from tests.test_cli import commands

    others = {
        "browse": "browser", "check": "check", "submit": "export_submission", "query": "cypher", "demo": "open",
        "export": "export_edges", "import": "import_edges",
    }  # fmt: skip
    for command in commands():
        name = command.split()[0]
        assert hasattr(lmr.Collection, others.get(name, name)) or others.get(name, name) in lmr.__all__, command
