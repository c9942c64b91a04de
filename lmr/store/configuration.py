"""Where a collection's folder says that its ledger is: one line of `settings.toml`, of which the rest is the user's."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from lmr.errors import UsageError
from lmr.local.process import write_private
from lmr.settings import SETTINGS_FILE, without_password

_LINE = re.compile(r"^[ \t]*ledger[ \t]*=.*\n?", re.MULTILINE)


def remember(home: Path, address: str, *, first: bool = False) -> None:
    """Let the folder say where the ledger is, without a password, in one step; empty: here.

    first: leave a folder as it is that says something already. Raises UsageError where the file cannot be changed
    so that all else in it stays.
    """
    path = home / SETTINGS_FILE
    text = path.read_text("utf-8") if path.exists() else ""
    before = tomllib.loads(text)
    wanted = without_password(address)
    if before.get("ledger", "") == wanted or (first and "ledger" in before):
        return
    quoted = wanted.replace("\\", "\\\\").replace('"', '\\"')
    line = f'ledger = "{quoted}"\n' if wanted else ""
    new = line + _LINE.sub("", text)
    rest = {name: value for name, value in before.items() if name != "ledger"}
    if tomllib.loads(new) != (rest | {"ledger": wanted} if wanted else rest):
        raise UsageError(f'{path} cannot be changed without a loss; write into it: ledger = "{quoted}"')
    write_private(path, new)
