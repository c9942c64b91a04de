"""The documentation site: that it is whole, loads nothing from elsewhere, and has all there is; what tutorials say."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from typer.main import get_command

import lmr
from lmr.cli.commands import app
from lmr.retrieval.analysis import analyst_queries
from lmr.settings import Settings, variable
from tests.conftest import ROOT

TUTORIALS = [*sorted((ROOT / "docs" / "tutorials").glob("*.md")), ROOT / "docs" / "trials.md"]
TEXTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
FORMER = r"(?i)\b(ladders?|rungs?|floors?|materials?)\b"  # baselines, minimum weight, raw global descriptors


class Read(HTMLParser):
    """What a page has: anchors, links, and all that a browser loads with it."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file, self.ids, self.links, self.loads, self.styles = file, set(), [], [], ""
        self.within = ""
        self.feed(file.read_text("utf-8"))

    def handle_starttag(self, tag: str, pairs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in pairs}
        self.within = tag
        self.ids |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") not in ("prev", "next", "canonical"):
            self.loads.append(given["href"])
        self.loads += [given[name] for name in ("src", "data", "poster") if name in given]
        self.loads += [one.split()[0] for one in given.get("srcset", "").split(",") if one.strip()]
        self.styles += given.get("style", "")

    def handle_data(self, data: str) -> None:
        if self.within == "style":
            self.styles += data

    def handle_endtag(self, tag: str) -> None:
        self.within = ""

    @cached_property
    def text(self) -> str:
        return self.file.read_text("utf-8")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for needed in ("mkdocs", "material", "mkdocstrings_handlers.python", "starlette"):
        pytest.importorskip(needed, reason="what builds the documentation is not installed: pip install --group docs")
    folder = tmp_path_factory.mktemp("site")
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Read]:
    found = {file: Read(file) for file in site.rglob("*.html")}
    assert len(found) > 25
    return found


def leads_to(page: Path, link: str, site: Path) -> Path:
    path = unquote(urlsplit(link).path)
    target = site / path.lstrip("/") if path.startswith("/") else page.parent / path if path else page
    return (target / "index.html" if target.is_dir() else target).resolve()


def test_every_link_and_anchor_inside_leads_somewhere(site: Path, pages: dict[Path, Read]) -> None:
    known, dead, followed = {file.resolve(): page for file, page in pages.items()}, set(), 0
    for file, page in pages.items():
        for link in page.links:
            if urlsplit(link).scheme or link.startswith("//"):
                continue
            target, anchor = leads_to(file, link, site), unquote(urldefrag(link).fragment)
            followed += 1
            if not target.exists() or (anchor and target in known and anchor not in known[target].ids):
                dead.add((str(file.relative_to(site)), link))
    assert followed > 1000
    assert not dead


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, Read]) -> None:
    loaded = 0
    for file, page in pages.items():
        for address in page.loads:
            if not address.startswith("data:"):
                assert not urlsplit(address).netloc, (file, address)
                assert leads_to(file, address, site).exists(), (file, address)
                loaded += 1
        assert not re.search(r"(?:url\(|@import)[\s'\"]*(?:https?:)?//", page.styles), file
        assert 'class="mermaid"' not in page.text, "diagrams would be drawn by a script from elsewhere"
    assert loaded > 100
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)[\s'\"]*(?:https?:)?//", style.read_text("utf-8")), style


def test_the_reference_has_all_there_is(site: Path) -> None:
    told = {file.stem: Read(file) for file in (site / "reference").glob("*.html")}
    named = dict(leaves(get_command(app), "lmr"))
    assert len(named) > 30
    for name, command in named.items():
        assert name.replace(" ", "-") in told["commands"].ids, name
        for option in command.params:
            for text in () if option.hidden or option.param_type_name == "argument" else option.opts:
                assert f"<code>{text}</code>" in told["commands"].text, (name, text)
    assert "\\|" not in told["commands"].text
    for setting in dataclasses.fields(Settings):
        assert setting.name in told["settings"].ids
        assert f"<code>{variable(setting)}</code>" in told["settings"].text
    assert {query.name for query in analyst_queries()} <= told["queries"].ids
    assert {f"lmr.{name}" for name in lmr.__all__} <= told["api"].ids
    methods = {name for name in dir(lmr.Collection) if not name.startswith("_")}
    assert {f"lmr.Collection.{name}" for name in methods} <= told["api"].ids
    from lmr.web.api import CALLS

    for call in CALLS:
        assert f"{call.method} /api/v1{call.path}" in told["rest"].text, call.path
    for name in (ROOT / "cypher" / "schema").glob("*.cypher"):
        assert ("DROP" in name.read_text()) != (f"<code>{name.stem}</code>" in told["graph"].text), name


def test_the_graph_is_told_as_queries_ask_it() -> None:
    page = (ROOT / "docs" / "reference" / "graph.md").read_text()
    for file in (ROOT / "cypher" / "analyst").glob("*.cypher"):
        text = file.read_text()
        for kind in re.findall(r":([A-Z]\w+)", text):
            assert kind in page, (file, kind)
        for name in re.findall(r"\b[a-z]\w*\.(\w+)\b(?!\()", re.sub(r"//.*", "", text)):
            assert f"`{name}`" in page or name in ("latitude", "longitude", "a", "b", "name_a", "name_b"), (file, name)


def test_the_search_has_its_index(site: Path) -> None:
    text = (site / "search" / "search_index.js").read_text("utf-8")
    found = json.loads(text.removeprefix("var __index = "))["docs"]
    assert {"index.html", "method.html", "reference/terms.html"} <= {one["location"] for one in found}


@pytest.mark.browser
def test_an_opened_file_searches(site: Path, tmp_path: Path) -> None:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no Chromium")
    begin = [program, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"]
    page = f"{(site / 'reference' / 'terms.html').as_uri()}?q=watermarks"
    done = subprocess.run(
        [*begin, "--virtual-time-budget=8000", "--dump-dom", page], capture_output=True, text=True, timeout=120
    )
    assert re.search(r"md-search-result__meta\">\d+ matching documents<", done.stdout)


def leaves(group: object, name: str) -> list[tuple[str, object]]:
    """Every command that does something, by its words."""
    found: list[tuple[str, object]] = []
    for word, command in group.commands.items():
        found += leaves(command, f"{name} {word}") if hasattr(command, "commands") else [(f"{name} {word}", command)]
    return found


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_commands_of_tutorials_are_understood(page: Path) -> None:
    """As the command line reads them, before anything is done."""
    named, lines = dict(leaves(get_command(app), "lmr")), []
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
        lines += [line for line in block.splitlines() if line.strip()]
    assert len(lines) > 5
    for line in lines:
        words = shlex.split(line, comments=True)
        name = max((name for name in named if words[: len(name.split())] == name.split()), key=len, default=None)
        assert name is not None, line
        named[name].make_context(name, words[len(name.split()) :])
    for query in re.findall(r"lmr query (\S+)", page.read_text()):
        assert query in {one.name for one in analyst_queries()}, query


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_what_tutorials_name_exists(page: Path) -> None:
    named = dict(leaves(get_command(app), "lmr"))
    for code in re.findall(r"`(lmr [^`\n]+)`", page.read_text()):
        assert any(f"{code} ".startswith(f"{name} ") for name in named), code
    known = {text for command in named.values() for option in command.params for text in option.opts}
    assert set(re.findall(r"`(--[a-z-]+)", page.read_text())) <= known
    for called in re.findall(r"`c\.(\w+)\(", page.read_text()):
        assert hasattr(lmr.Collection, called), called
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                for one in node.names:
                    assert hasattr(importlib.import_module(node.module), one.name), one.name


def test_former_terms_do_not_come_back() -> None:
    """What is code may have them still: names of files, properties, options for those who know no others."""
    texts = {str(path): path.read_text() for path in TEXTS}
    texts |= {name: command.help for name, command in leaves(get_command(app), "lmr")}
    texts |= {setting.name: setting.metadata["about"] for setting in dataclasses.fields(Settings)}
    texts |= {query.name: query.about for query in analyst_queries()}
    for where, text in texts.items():
        prose = re.sub(r"(?s)```.*?```|`[^`]*`", "", text)
        assert not re.findall(FORMER, prose), where
