"""The README's commands, run as they stand; its figures and names held against the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT, Made, stop_databases
from tests.test_cli import commands

README = (ROOT / "README.md").read_text()


def blocks() -> list[list[str]]:
    found = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    return [[line.split("#")[0].strip() for line in block.splitlines() if line.strip()] for block in found]


def test_own_photos_as_written(made: Path, tmp_path: Path) -> None:
    """In an empty home directory with some photos, one command after the other."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for source in (*made.glob("school-*.jpg"), *made.glob("chapel-*.jpg")):
        shutil.copy(source, photos)
    shutil.copy(made / "school-1.jpg", photos / "one.jpg")
    shutil.copy(made / "labels.csv", tmp_path)
    environment = {**os.environ, "HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    from lmr.servers.jars import cache_folder
    from lmr.settings import load

    environment["LMR_CACHE"] = str(cache_folder(load()[0]))
    try:
        for block in blocks()[1:]:
            for line in block:
                if line.startswith(". "):
                    continue
                done = subprocess.run(
                    ["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True
                )
                assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        for written in ("result.html", "ladder.html", "ranking.csv"):
            assert (tmp_path / written).exists()
    finally:
        stop_databases(tmp_path / ".lmr")


def test_make_demo_shows_the_way_and_is_quick_the_second_time(made_demo: Made) -> None:
    assert made_demo.seconds[1] < 60
    for told in made_demo.told:
        place, there, right, wrong, _ = re.search(
            r"^(town-hall)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)", told, re.MULTILINE
        ).groups()
        assert (there, right, wrong) == ("12", "12", "0"), place
        assert "corner" in told.split("share no surface")[1].splitlines()[1]
        for way in ("report.html", "/browser/", "lmr ingest", "lmr down"):
            assert way in told
    assert (made_demo.folder / "report.html").exists()


def test_the_two_commands_exist() -> None:
    assert blocks()[0] == ["make demo", "make test"]
    for target in ("demo", "test", "setup", "soak"):
        subprocess.run(["make", "-n", target], cwd=ROOT, check=True, capture_output=True)


def test_every_command_and_place_that_is_named_exists() -> None:
    named = set(re.findall(r"`lmr (\w+)", README)) | {
        w for b in blocks() for line in b for w in re.findall(r"lmr (\w+)", line)
    }
    assert named <= set(commands())
    assert {"ingest", "link", "search", "explain", "query", "browse", "cluster", "clusters", "evaluate"} <= named
    for place in re.findall(r"`((?:cypher|deploy|benchmarks|lmr)/[\w/]*)`", README):
        assert (ROOT / place).exists(), place
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / picture).exists(), picture
    for module in re.findall(r"`(?:python -m benchmarks)?\.(\w+)`(?=, |: figures)", README):
        assert (ROOT / "benchmarks" / f"{module}.py").exists(), module


def test_the_guide_of_the_browser_is_up_to_date() -> None:
    sys.path.insert(0, str(ROOT / "deploy"))
    import make_guide

    assert make_guide.TARGET.read_text() == make_guide.page()
