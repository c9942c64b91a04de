"""The README's commands, run as they stand; its names, and the figures that the code fixes, held against the project.

What was measured is not: benchmarks print that anew.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np

from lmr.extractors.presets import PRESETS
from lmr.method.expansion import average
from lmr.method.features.pack import pack
from lmr.retrieval import baselines as ladder
from lmr.settings import Settings, load
from lmr.store.load import MANY
from lmr.values import Features
from tests.conftest import ROOT, Made, stop_databases
from tests.test_cli import commands

PAGES = [
    ROOT / "README.md",
    *(
        ROOT / "docs" / f"{name}.md"
        for name in "photos searching evaluation care networks extractors method figures python page machines".split()
    ),
]
README = "\n".join(page.read_text() for page in PAGES)  # with what it leads to


def blocks() -> list[list[str]]:
    found = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    return [[line.split("#")[0].strip() for line in block.splitlines() if line.strip()] for block in found]


def test_own_photos_as_written(little: Path, tmp_path: Path) -> None:
    """In an empty home directory with some photos, one command after the other."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for source in (*little.glob("school-*.jpg"), *little.glob("chapel-*.jpg")):
        shutil.copy(source, photos)
    shutil.copy(little / "school-1.jpg", photos / "one.jpg")
    shutil.copy(little / "labels.csv", tmp_path)
    environment = {**os.environ, "HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    from lmr.local.jars import cache_folder

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
        (python,) = re.findall(r"```python\n(.*?)```", PAGES[0].read_text(), re.DOTALL)
        shutil.copy(photos / "one.jpg", tmp_path)
        done = subprocess.run(  # in the collection that is there: its databases are up
            [sys.executable, "-c", python.replace('"paris"', '".lmr"')],
            cwd=tmp_path,
            env={**environment, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert re.search(r"(?m)^1 verified \d+ \('.*\.jpg',.*\) \[.*\]$", done.stdout), done.stdout
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
        for way in ("report.html", "lmr serve", "/browser/", "lmr ingest", "lmr down"):
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
    places = named_as(r"`((?:cypher|deploy|benchmarks|lmr|tests)/[\w./]*)`", least=8)
    modules = named_as(r"`(?:python -m benchmarks)?\.(\w+)`(?=, |: figures)", least=10)
    modules |= named_as(r"python -m benchmarks\.(\w+)", least=3)
    for place in (*places, *(f"benchmarks/{module}.py" for module in modules)):
        assert (ROOT / place).exists(), place


def test_links_lead_somewhere_and_every_page_is_read() -> None:
    assert len(PAGES[0].read_text().splitlines()) < 150
    led_to = set()
    for page in (*PAGES, *(ROOT / f"{name}.md" for name in ("CONTRIBUTING", "SECURITY", "CHANGELOG"))):
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / link).exists(), (page, link)
            led_to.add((page.parent / link).resolve())
    assert {*PAGES[1:], *(ROOT / "docs").glob("*.md")} <= led_to
    assert len([path for path in led_to if path.suffix in (".jpg", ".png")]) >= 2


def test_every_call_that_is_named_exists() -> None:
    import lmr

    page = (ROOT / "docs" / "python.md").read_text()
    for owner, name in re.findall(r"\b(c|lmr)\.(\w+)", page):
        assert hasattr(lmr.Collection if owner == "c" else lmr, name), name
    methods = {name for name in dir(lmr.Collection) if not name.startswith("_")}
    untold = {name for name in methods if f"c.{name}" not in page}
    assert untold <= {"close", "home", "image", "images", "labels", "lacks", "unlocated"}


def named_as(pattern: str, least: int) -> set[str]:
    """What the README has in these places, which must not be too little: the pattern may be behind the text."""
    found = set(re.findall(pattern, README))
    assert len(found) >= least, (pattern, found)
    return found


def test_every_option_setting_and_preset_that_is_named_exists() -> None:
    from typer.main import get_command

    from lmr.cli.commands import app

    known, waiting = {"--help", "--no-deps"}, [get_command(app)]  # the latter is an option of pip
    while waiting:
        command = waiting.pop()
        known |= {text for option in command.params for text in (*option.opts, *option.secondary_opts)}
        waiting += getattr(command, "commands", {}).values()
    assert named_as(r"(?<![\w-])(--[a-z][\w-]+)", least=25) <= known
    (listed,) = named_as(r"(?s)`lmr config` lists what can be set: (.*?)\n\n", least=1)
    wanted = set(re.findall(r"`(\w+)`", listed))
    assert len(wanted) >= 8 and wanted <= {field.name for field in dataclasses.fields(Settings)}
    assert named_as(r"(?m)^\| `([\w-]+)` \| [^|]* \| [^|]* \| [^|]* \|$", least=4) == set(PRESETS)


def test_figures_that_the_code_fixes_are_its() -> None:
    default = Settings()
    for pattern, value in (
        (r"proposes the ([\d,]+) nearest index photos", default.top),
        (r"\(over ([\d,]+) they are set aside: `max_pixels`\)", default.max_pixels / 1e6),
        (r"\(`far_apart`, ([\d,]+) km", default.far_apart / 1000),
        (r"([\d,]+), the default: of what", default.expansion_steps),
        (r"first load of ([\d,]+) matches", MANY),
        (r"packed to ([\d,]+) bytes each", bytes_a_point()),
        (r"the query moved to its ([\d,]+) nearest", average.AQE_TOP),
        (r"to its ([\d,]+) nearest, by similarity cubed", average.ALPHA_TOP),
        (r"every image moved to its ([\d,]+) nearest", average.DBA_TOP),
        (r"the first ([\d,]+) by inliers", ladder.RERANKED),
    ):
        assert {float(text.replace(",", "")) for text in named_as(pattern, least=1)} == {value}, pattern
    assert average.ALPHA == 3
    first, last = re.search(r"Python 3\.(\d+) to 3\.(\d+)", README).groups()
    python = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert python == f">=3.{first},<3.{int(last) + 1}"


def bytes_a_point() -> float:
    """What a point takes, at most: that of noise, which cannot be coded shorter."""
    rng, sizes = np.random.default_rng(0), []
    for count in (1000, 2000):
        descriptors = rng.integers(-127, 128, (count, 64)).astype(np.int8)
        found = Features(rng.random((count, 2)) * 600, np.ones(count), descriptors, (0, 0, 640, 640), 1.0, "rootsift")
        sizes.append(len(pack(found)))
    return round((sizes[1] - sizes[0]) / 1000)


def test_the_table_of_rungs_is_the_ladder() -> None:
    """In its order; and no figure in it contradicts another."""
    rows = re.findall(r"(?m)^\| `([\w+-]+)` \| [^|]+ \| (0\.\d+) \| (0\.\d+) \| ([01]\.\d+) \|$", README)
    assert [name for name, *_ in rows] == [name for name in ladder.BASELINES if "depth" not in name]
    for name, *figures in rows:
        whole, first_100, first = map(float, figures)
        assert 0 < first_100 <= whole <= 1 and 0 < first <= 1, name
    best = max(rows, key=lambda row: float(row[1]))
    assert float(best[1]) == float(rows[-1][1]), "the whole method is said to be the best"


def test_the_guide_of_the_browser_is_up_to_date() -> None:
    sys.path.insert(0, str(ROOT / "deploy"))
    import make_guide

    assert make_guide.TARGET.read_text() == make_guide.page()
