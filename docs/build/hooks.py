"""What MkDocs builds the site of beside docs/: the README and its like, and the reference, made of the program."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from typer.main import get_command

import lmr
from deploy.manual import commands as every_command
from deploy.manual import written
from lmr.cli.commands import app
from lmr.retrieval.analysis import DEFAULTS, analyst_queries
from lmr.settings import Settings, variable
from lmr.store.cypher import queries
from lmr.web.api import CALLS
from lmr.web.calls import openapi

ROOT = Path(lmr.__file__).resolve().parents[1]
OF_THE_PROJECT = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
_CONSTRAINTS = "<!-- schema -->"  # where docs/reference/graph.md has what cypher/schema says


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the project's own pages, whose links begin at its root, and those of the reference."""
    made = {name: (ROOT / name).read_text("utf-8").replace("](docs/", "](") for name in OF_THE_PROJECT}
    made |= {
        "reference/commands.md": commands(),
        "reference/settings.md": settings(),
        "reference/queries.md": analysts(),
        "reference/api.md": python(),
        "reference/rest.md": rest(),
    }
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put the schema of the graph where its page wants it."""
    return markdown.replace(_CONSTRAINTS, schema())


def commands() -> str:
    """Every command, from its own help."""
    listed = list(every_command(get_command(app), "lmr"))
    index = _table(
        ("command", "what it does"), ((f"[`{name}`](#{name.replace(' ', '-')})", _about(c)) for name, c in listed)
    )
    intro = "As `--help` of each tells them. Most take `--home`, and give one JSON document with `--json`."
    return "\n\n".join(("# Commands", intro, index, *(_command(name, c) for name, c in listed)))


def settings() -> str:
    """Every setting, as `lmr config` knows it."""
    rows = []
    for one in fields(Settings):
        default = str(one.default)
        shown = f"`{default}`" if default not in ("", ".") else ""
        kind = "path" if isinstance(one.default, Path) else type(one.default).__name__
        name = f'<a id="{one.name}"></a>`{one.name}`<br>`{variable(one)}`'
        rows.append((name, f"{shown}<br>{kind}".removeprefix("<br>"), _limits(one.metadata["about"], one.metadata)))
    intro = (
        "A setting is taken from an option of the command, else from its environment variable, else from "
        "`settings.toml` in the collection's folder (not `home`, nor passwords and tokens), else it is the default. In "
        "Python each is an argument of `lmr.open`. [`lmr config`](commands.md#lmr-config) shows them, and where each "
        "value came from; [method](../method.md) tells what those of the method do."
    )
    return f"# Settings\n\n{intro}\n\n" + _table(
        ("setting, and in the environment", "default, type", "what it is"), rows
    )


def analysts() -> str:
    """Every query for analysts, with its head and its Cypher."""
    parts = [
        "# Analysts' queries",
        "`lmr query NAME --param limit=10` runs one, in read mode; `c.cypher(NAME, limit=10)` does in Python, and "
        "`GET /queries/NAME?limit=10` of the [REST interface](rest.md). Their Cypher runs in Neo4j Browser, too "
        "(`lmr browse`), after `:param limit => 10`. [The graph](graph.md) tells what there is to match.",
    ]
    for query in analyst_queries():
        takes = ", ".join(f"`{p}` (default {DEFAULTS[p]})" if p in DEFAULTS else f"`{p}`" for p in query.params)
        gives = ", ".join(f"`{name}`" for name in queries()[f"analyst/{query.name}"].returns)
        statement = re.sub(r"\A(//.*\n)+", "", query.text)
        parts.append(f"## {query.name}\n\n{query.about}\n\nTakes {takes}. Returns {gives}.")
        parts.append(f"```cypher\n{statement.strip()}\n```")
    return "\n\n".join(parts)


def python() -> str:
    """Every public name, for mkdocstrings to tell."""
    kinds: dict[str, list[str]] = {"Functions": [], "Classes": [], "Errors": []}
    for name in lmr.__all__:
        value = getattr(lmr, name)
        error = inspect.isclass(value) and issubclass(value, Exception)
        kinds["Errors" if error else "Classes" if inspect.isclass(value) else "Functions"].append(name)
    kinds["Classes"].sort(key=lambda name: (name != "Collection", name))
    intro = "Names of the package `lmr`; the [table of calls](../python.md) says which does what a command does."
    parts = ["# Python interface", intro]
    for kind, names in kinds.items():
        parts += [f"## {kind}", *(f"::: lmr.{name}" for name in names)]
    return "\n\n".join(parts)


def rest() -> str:
    """Every call of the interface for programs, from its OpenAPI document."""
    told = openapi(CALLS)
    intro = (
        f"OpenAPI {told['openapi']}; a server gives this document at `/api/v1/openapi.json`. [The page, and the "
        "interface for programs](../page.md#for-programs) has an example of each call, and tells who may make it."
    )
    parts = ["# REST interface", intro]
    for path, methods in told["paths"].items():
        for method, call in methods.items():
            rows = ((f"`{p['name']}`", p["in"], *_kind(p), p.get("description", "")) for p in call["parameters"])
            takes = _table(("parameter", "in", "type", "required", "what it is"), rows) if call["parameters"] else ""
            body = " or ".join(f"`{kind}`" for kind in call.get("requestBody", {}).get("content", {}))
            answers = ", ".join(f"`{kind}`" for kind in call["responses"]["200"]["content"])
            parts.append(f"## {method.upper()} {path}\n\n{call['summary']}\n\n{takes}")
            parts.append((f"Body: {body}. " if body else "") + f"Answer: {answers}.")
    errors = {code: one["description"] for code, one in call["responses"].items() if code != "200"}
    parts.append("## What goes wrong\n\n" + _table(("status", "what it means"), errors.items()))
    return "\n\n".join(parts)


def schema() -> str:
    """The constraints and indexes of the graph."""
    found = (one for one in queries().values() if one.name.startswith("schema/") and "DROP" not in one.text)
    rows = ((f"`{one.name.removeprefix('schema/')}`", one.about, f"`{_statement(one.text)}`") for one in found)
    return _table(("name", "what it is for", "Cypher"), rows)


def _command(name: str, command: Any) -> str:
    usage = command.get_usage(command.context_class(command, info_name=name)).removeprefix("Usage: ")
    text, _, example = inspect.cleandoc(command.help).partition("Example: ")
    rows = [(_named(p), _limits(p.help, vars(p)), _default(p)) for p in command.params if not p.hidden]
    parts = [f"## {name}", f"```text\n{usage}\n```", text.strip(), f"Example: {example}"]
    return "\n\n".join([*parts, _table(("argument or option", "what it is", "default"), rows) if rows else ""])


def _named(option: Any) -> str:
    names, value = written(option)
    return " ".join(part for part in (", ".join(f"`{name}`" for name in names), value and f"`{value}`") if part)


def _default(option: Any) -> str:
    if isinstance(option.show_default, str):
        return option.show_default
    return "" if option.default is None or option.default is False else f"`{option.default}`"


def _limits(about: str, told: Any) -> str:
    """A description, with its bounds and its environment variable, if it has any."""
    least, most = told.get("minimum", told.get("min")), told.get("maximum", told.get("max"))
    bounds = [f"at least {least:g}"] if least else []
    bounds += [f"at most {most:g}"] if most not in (None, float("inf")) else []
    bounds += [f"`{told['envvar']}`"] if told.get("envvar") else []
    return f"{about} ({', '.join(bounds)})" if bounds else about


def _kind(parameter: dict[str, Any]) -> tuple[str, str]:
    return parameter["schema"].get("type", ""), "yes" if parameter.get("required") else ""


def _about(command: Any) -> str:
    return re.split(r"(?<=\.)\s", inspect.cleandoc(command.help).replace("\n", " "), maxsplit=1)[0]


def _statement(text: str) -> str:
    return " ".join(line for line in text.splitlines() if not line.startswith("//")).strip()


def _table(head: tuple[str, ...], rows: Any) -> str:
    """A table in Markdown, in whose cells no bar begins another; in code none does."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(str(cell)) for cell in row) + " |" for row in lines)


def _cell(text: str) -> str:
    return re.sub(r"`[^`]*`|\|", lambda found: "\\|" if found[0] == "|" else found[0], text.replace("\n", " "))
