"""The manual page lmr(1), made of the commands' own help: `python -m deploy.manual > lmr.1`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from typer.main import get_command

import lmr
from lmr.cli.commands import app
from lmr.settings import Settings, variable

_ENDS = {
    "0": "Done.",
    "1": "Failed; the last line on standard error says why, and what to do.",
    "2": "Asked for what cannot be done.",
    "130": "Interrupted; the same command goes on where it stopped.",
}


def page() -> str:
    """The page in roff's man macros. It has no date, so that the same program gives the same page."""
    group = get_command(app)
    about = (group.help or "").rstrip(".")
    parts = [
        f'.TH LMR 1 "" "lmr {lmr.__version__}" "User Commands"',
        f".SH NAME\nlmr \\- {_escaped(about[0].lower() + about[1:])}",
        f".SH SYNOPSIS\n{_text('`lmr` COMMAND [OPTIONS] [ARGUMENTS]')}\n.br\n{_text('`lmr --version` [`--json`]')}",
        f".SH OPTIONS\n{_options(group)}",
        ".SH COMMANDS",
        *(_command(name, command) for name, command in commands(group, "lmr")),
        ".SH ENVIRONMENT\n" + _text("Each is a setting; an option of the command comes first."),
        *(_item(f"`{variable(one)}`", one.metadata["about"]) for one in fields(Settings)),
        ".SH EXIT STATUS",
        *(_item(f"`{code}`", meaning) for code, meaning in _ENDS.items()),
    ]
    return "\n".join(parts) + "\n"


def commands(group: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its words."""
    for word, command in group.commands.items():
        if not command.hidden and getattr(command, "invoke_without_command", True):
            yield f"{name} {word}", command
        if hasattr(command, "commands"):
            yield from commands(command, f"{name} {word}")


def _command(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    named = " ".join([f"`{name}`", *((p.metavar or p.name.upper()) for p in arguments)])
    paragraphs = inspect.cleandoc(command.help).split("\n\n")
    return "\n".join([f".SS {_text(named)}", "\n.PP\n".join(map(_text, paragraphs)), _options(command)])


def _options(command: Any) -> str:
    items = []
    for option in command.params:
        names, value = written(option)
        if not option.hidden:
            items.append(_item(f"{', '.join(f'`{name}`' for name in names)} {value}", option.help or ""))
    return "\n".join(items)


def written(option: Any) -> tuple[list[str], str]:
    """An option's names, none of an argument's, and what stands after them or in its place."""
    value = option.metavar or option.name.upper()
    if option.param_type_name == "argument":
        return [], value
    plain = option.secondary_opts or option.type_descriptor.annotation is bool
    return [*option.opts, *option.secondary_opts], "" if plain else value


def _item(term: str, text: str) -> str:
    return f".TP\n{_text(term)}\n{_text(text)}"


def _text(markdown: str) -> str:
    """A paragraph of a help text: what stands in backquotes or asterisks is bold."""
    line = _escaped(" ".join(markdown.split()))
    line = re.sub(r"`([^`]*)`|\*\*([^*]*)\*\*", lambda found: rf"\fB{found[1] or found[2]}\fR", line)
    return rf"\&{line}" if line.startswith((".", "'")) else line


def _escaped(text: str) -> str:
    """As roff reads it, whatever it takes the file's encoding for."""
    text = text.replace("\\", r"\e").replace("-", r"\-")
    return "".join(c if c.isascii() else rf"\[u{ord(c):04X}]" for c in text)


if __name__ == "__main__":
    print(page(), end="")
