"""Files of a collection cut, changed and deleted: each damage is named, or mended, or does no harm.

Each takes a minute, so they are left to `make soak`, which sets LMR_DAMAGES=all; a number takes some, by LMR_SEED.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Cli, stop_databases

SEED, COUNT = int(os.environ.get("LMR_SEED", "1")), os.environ.get("LMR_DAMAGES", "0")


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def flip(path: Path) -> None:
    """A few bits of every page, where something is written."""
    data = bytearray(path.read_bytes())
    rng = random.Random(len(data))
    for start in range(0, len(data), 4096):
        used = [k for k in range(start, min(start + 4096, len(data))) if data[k]]
        for k in rng.sample(used, min(3, len(used))):
            data[k] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def delete(path: Path) -> None:
    path.unlink()


HARMS: tuple[Callable[[Path], None], ...] = (cut, flip, delete)


def kind(path: Path) -> str:
    """Files of one kind differ in nothing but numbers and ids."""
    return "".join(c for c in str(path) if not c.isdigit())


def kinds(home: Path) -> list[Path]:
    """The greatest file of each kind, relative to the collection."""
    found: dict[str, Path] = {}
    for path in sorted(p for p in home.rglob("*") if p.is_file() and not p.is_symlink()):
        inside = path.relative_to(home)
        dull = inside.suffix in (".log", ".lock") or "conf/browser" in str(inside) or path.stat().st_size == 0
        if not dull and (
            kind(inside) not in found or path.stat().st_size > (home / found[kind(inside)]).stat().st_size
        ):
            found[kind(inside)] = inside
    return list(found.values())


def answers(cli: Cli, photo: Path) -> list[dict]:
    rows = cli.json("search", photo, "--top", 20)["results"]  # type: ignore[index, call-overload]
    return [{k: row[k] for k in ("id", "reached", "inliers", "hops")} for row in rows]


@pytest.mark.skipif(COUNT == "0", reason="left to `make soak` (LMR_DAMAGES=all)")
def test_each_damage_is_named_or_mended(little: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for path in [p for name in ("bank", "mill") for p in sorted(little.glob(f"{name}-*.jpg"))[:4]]:
        shutil.copy(path, photos)
    whole, cli = Cli(tmp_path / "whole"), Cli(tmp_path / "lmr")
    whole("ingest", photos)
    whole("link")
    whole("cluster")
    backup = tmp_path / "kept.lmr"
    whole("backup", backup)
    photo = min(photos.iterdir())
    stored = answers(whole, photo)
    moved = tmp_path / "new.jpg"
    shutil.copy(photo, moved)
    with moved.open("ab") as file:
        file.write(b"\0")  # other bytes: a photo that is not stored
    new = answers(whole, moved)
    assert any(row["reached"] == "verified" for row in stored) and new
    stop_databases(whole.home)
    cases = [(path, harm) for path in kinds(whole.home) for harm in HARMS]
    assert len(cases) > 100
    random.Random(SEED).shuffle(cases)
    silent = []
    for path, harm in cases if COUNT == "all" else cases[: int(COUNT)]:
        shutil.rmtree(cli.home, ignore_errors=True)
        shutil.copytree(whole.home, cli.home)
        harm(cli.home / path)
        try:
            found = cli.run("check", "--json")
            assert "Traceback" not in found.stderr, (path, harm.__name__, found.stderr)
            told = "nothing differs"
            if found.returncode:
                told = ", ".join(one["what"] for one in json.loads(found.stdout)) if found.stdout else found.stderr
                mended = cli.run("repair")
                if mended.returncode:  # the ledger itself
                    assert "lmr restore" in mended.stderr or "backup" in mended.stderr, (path, mended.stderr)
                    cli("restore", backup)
                    cli("link")
                assert json.loads(cli("check", "--json")) == []
            same = answers(cli, photo) == stored and answers(cli, moved) == new
            print(
                f"{path} {harm.__name__}: {told[:200].strip()}; {'the same answers' if same else 'OTHER ANSWERS'}",
                flush=True,
            )
            if not same:
                silent.append((path, harm.__name__))
        finally:
            stop_databases(cli.home)
    assert not silent
