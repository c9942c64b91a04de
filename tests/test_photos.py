"""Real photos: a part of the shared ones that is small enough for every run; benchmarks.photos takes all."""

from __future__ import annotations

import csv
from pathlib import Path

from tests.conftest import Cli

LANDMARKS, DISTRACTORS = 2, 30


def test_rankings_on_real_photos(shared: Path, fresh: Cli, tmp_path: Path) -> None:
    with (shared / "photos" / "labels.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    names = sorted({row["landmark"] for row in rows} - {""})[:LANDMARKS]
    chosen = [row for row in rows if row["landmark"] in names]
    chosen += [row for row in rows if not row["landmark"]][:DISTRACTORS]
    folder = tmp_path / "photos"
    folder.mkdir()
    for row in chosen:
        (folder / row["image"]).symlink_to(shared / "photos" / "images" / row["image"])
    counts = fresh.json("ingest", folder, "--labels", shared / "photos" / "labels.csv")
    assert (counts["new"], counts["set_aside"]) == (len(chosen), 0)
    assert counts["bytes_a_photo"] < 400_000
    linked = fresh.json("link")
    assert linked["accepted"] > 0
    rungs = {rung["name"]: rung for rung in fresh.json("evaluate")["rungs"]}
    assert rungs["descriptor"]["map"] > 0.4
    assert rungs["mmst"]["map"] > rungs["descriptor"]["map"] + 0.1
