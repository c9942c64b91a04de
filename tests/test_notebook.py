"""The notebook under docs/, run from its first cell to its last on the servers of all tests.

`make test` runs it on the photos of three places, `make soak` (LMR_NOTEBOOK=all) on all, as it is kept.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT

NOTEBOOK = ROOT / "docs" / "first-steps.ipynb"
ALL = os.environ.get("LMR_NOTEBOOK") == "all"
PLACES = ("town-hall", "mill", "bank")
_LINKED = r"(\d+) photos; (\d+) pairs verified; (\d+) accepted\n"


def outputs(notebook: nbformat.NotebookNode, beginning: str) -> str:
    """What the one cell printed that begins so."""
    (cell,) = (cell for cell in notebook.cells if cell.source.startswith(beginning))
    return "".join(one.get("text", "") for one in cell.outputs)


def test_the_notebook_runs_and_shows_what_it_says(
    made: Path, tmp_path: Path, servers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    photos = made if ALL else tmp_path / "photos"
    if not ALL:
        photos.mkdir()
        for path in [*(path for place in PLACES for path in made.glob(f"{place}-*.jpg")), made / "labels.csv"]:
            shutil.copy(path, photos)
    kept = nbformat.read(NOTEBOOK, 4)
    again = nbformat.read(NOTEBOOK, 4)
    first = next(cell for cell in again.cells if cell.cell_type == "code")
    first.source, count = re.subn(
        r"photos = folder.*?pass\n", f"photos = Path({str(photos)!r})\n", first.source, flags=re.DOTALL
    )  # those that the notebook would render, rendered already
    assert count == 1
    NotebookClient(again, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    for beginning in ("result = c.search", "front, side"):
        assert outputs(again, beginning) == outputs(kept, beginning) != "", beginning
    now, then = (
        [int(count) for count in re.fullmatch(_LINKED, outputs(one, "c = lmr.open")).groups()] for one in (again, kept)
    )
    assert now[0] == len(list(photos.glob("*.jpg"))) and now[1] > now[2] > 100
    if ALL:  # how many pairs are proposed depends a little on the processor: a vocabulary is a sum of products
        assert now[::2] == then[::2] and abs(now[1] - then[1]) < 0.02 * then[1]
    shown = [data for cell in again.cells for one in cell.get("outputs", ()) if (data := one.get("data"))]
    assert any("<iframe sandbox" in data.get("text/html", "") for data in shown)
    assert any("image/jpeg" in data for data in shown)
    assert NOTEBOOK.stat().st_size < 1_500_000 and str(ROOT) not in NOTEBOOK.read_text()
