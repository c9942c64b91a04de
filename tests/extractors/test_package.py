"""The package that docs/extractors.md shows is installed by pip, and a collection is made with its extractor."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, Cli
from tests.places import make_place

GUIDE = (ROOT / "docs" / "extractors.md").read_text()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pip put the guide's package."""
    source, target = tmp_path_factory.mktemp("lmr-orb"), tmp_path_factory.mktemp("site")
    for name, language in (("lmr_orb.py", "python"), ("pyproject.toml", "toml")):
        (text,) = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
        (source / name).write_text(text)
    words = ["install", "-q", "--no-deps", "--no-index", "--no-build-isolation", "--target", target, source]
    done = subprocess.run([sys.executable, "-m", "pip", *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


def lmr(site: Path | None, home: Path, *words: object, code: int = 0) -> str:
    """A command in a process that finds the package, as in an environment of its own."""
    path = os.pathsep.join(str(one) for one in (site, ROOT) if one is not None)
    env = {**os.environ, "PYTHONPATH": path, "LMR_HOME": str(home)}
    done = subprocess.run([sys.executable, "-m", "lmr", *map(str, words)], env=env, capture_output=True, text=True)
    assert done.returncode == code, (words, done.stdout, done.stderr)
    return done.stdout if code == 0 else done.stderr


def test_the_guides_extractor_is_about_forty_lines() -> None:
    (text,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    assert len([line for line in text.splitlines() if line.strip()]) <= 42


def test_a_collection_is_made_with_it(installed: Path, blank: Cli, tmp_path: Path) -> None:
    for name in ("mill", "bank", "town"):
        make_place(tmp_path / "photos", name)
    home = blank.home
    lmr(installed, home, "ingest", tmp_path / "photos", "--preset", "orb+vlad")
    linked = json.loads(lmr(installed, home, "link", "--json"))
    assert linked["verified"] == 15 and linked["edges"] == 3
    photo = tmp_path / "photos" / "bank-1.jpg"
    found = json.loads(lmr(installed, home, "search", photo, "--json"))["results"]
    assert "bank-2" in json.dumps(found[0]) and found[0]["reached"] == "verified"
    status = {one["what"]: one for one in json.loads(lmr(installed, home, "status", "--json"))["made_with"]}
    assert status["local features"]["parameters"] == {"points": 1500, "side": 640, "version": 1}
    assert status["verification"]["parameters"]["matching"]["ratio"] == 0.9
    assert all(one["current"] for one in status.values())
    # where it is not installed, that is said of a new photo, and nothing is mixed in
    photo = make_place(tmp_path / "others", "gate")[0]
    told = lmr(None, home, "search", photo, code=1)
    assert "no checkpoint 'orb'" in told and "nor is it an extractor" in told
    # another version of it makes other features
    module = installed / "lmr_orb.py"
    module.write_text(module.read_text().replace("version: int = 1", "version: int = 2"))
    told = lmr(installed, home, "search", photo, code=1)
    assert "local features: version 1, now 2" in told and "lmr train --preset orb+vlad" in told
    lmr(installed, home, "train", "--preset", "orb+vlad")
    assert json.loads(lmr(installed, home, "link", "--json"))["edges"] == 3
