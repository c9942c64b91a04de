"""What README says a collection may hold: long names, large photos, many files in one folder."""

from __future__ import annotations

import csv
import os
import shutil
import time
import tracemalloc
from pathlib import Path

import numpy as np
from PIL import Image

from lmr.inputs.find import find
from tests.conftest import Cli

FILES = int(os.environ.get("LMR_FILES", "20000"))  # make soak: 200,000


def test_names_of_4000_bytes_and_a_photo_of_100_megapixels(blank: Cli, made: Path, tmp_path: Path) -> None:
    source = min(made.glob("bank-*.jpg"))
    deep = tmp_path / "photos"
    while len(os.fsencode(deep)) < 3_700:
        deep = deep / ("é" * 100)
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        deep.mkdir(parents=True)
        long = deep / ("x" * (4_000 - len(os.fsencode(deep)) - 5) + ".jpg")
        shutil.copy(source, long)
    finally:
        os.close(folder)
    assert len(os.fsencode(long)) == 4_000
    large = tmp_path / "photos" / "large.jpg"
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (1_000, 1_000, 3), np.uint8)).resize((10_000, 10_000)).save(large)
    labels = tmp_path / "labels.csv"
    with labels.open("w", newline="") as lines:
        csv.writer(lines).writerows([("image", "landmark"), (long.name, "é" * 2_000)])
    counts = blank.json("ingest", tmp_path / "photos", "--labels", labels)
    assert (counts["new"], counts["set_aside"], counts["labelled"]) == (2, 0, 1)
    assert blank.json("search", long, "--top", 5)["results"][0]["paths"] == [str(large)]
    found = blank.json("search", large, "--top", 5)["results"][0]
    assert found["paths"] == [str(long)] and found["landmark"] == "é" * 2_000


def test_a_folder_of_very_many_files_is_listed_in_little_memory(tmp_path: Path) -> None:
    """The names of a folder are held while it is listed, to be given in order, and nothing else of its files."""
    for k in range(FILES):
        (tmp_path / f"{k:06}.jpg").touch()
    begin = time.perf_counter()
    tracemalloc.start()  # its peak is that of this listing alone
    try:
        assert sum(1 for _ in find([tmp_path])) == FILES
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    print(f"{FILES:,} files listed in {time.perf_counter() - begin:.1f} s, {peak / 1e6:.0f} MB at most")
    assert peak < min(400 * FILES, 200_000_000)
