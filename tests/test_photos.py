"""Real photos: a part of the shared ones that is small enough for every run; benchmarks.photos takes all."""

from __future__ import annotations

import csv
import sqlite3
from pathlib import Path

import cv2
import numpy as np

from benchmarks.noisy import marked
from lmr.values import Excluded
from tests.conftest import Cli

LANDMARKS, PHOTOS, MARKED, ASKED = 2, 12, 14, 4


def test_rankings_on_real_photos_and_watermarks_that_join_nothing(shared: Path, blank: Cli, tmp_path: Path) -> None:
    """Two landmarks; 14 photos of other things, each with a watermark; and a photo beside its smaller copy."""
    photos = shared / "photos"
    with (photos / "labels.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    names = sorted({row["landmark"] for row in rows} - {""})[:LANDMARKS]
    chosen = [row["image"] for name in names for row in rows if row["landmark"] == name and row["split"] == "query"]
    for name in names:
        shown = [row["image"] for row in rows if row["landmark"] == name and row["split"] == "index"]
        chosen += shown[: PHOTOS - 4]
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in chosen:
        (folder / name).symlink_to(photos / "images" / name)
    rng = np.random.default_rng(0)
    others = [row["image"] for row in rows if not row["landmark"]][::17][:MARKED]
    for k, name in enumerate(others):
        picture = marked(cv2.imread(str(photos / "images" / name)), ("corner", "anywhere")[k % 2], rng)
        cv2.imwrite(str(folder / name), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
    again = cv2.imread(str(folder / others[0]))
    cv2.imwrite(str(folder / "copy.jpg"), cv2.resize(again, None, fx=0.8, fy=0.8), [cv2.IMWRITE_JPEG_QUALITY, 70])

    counts = blank.json("ingest", folder, "--labels", photos / "labels.csv")
    assert (counts["new"], counts["set_aside"]) == (len(chosen) + MARKED + 1, 0)
    assert counts["bytes_a_photo"] < 400_000
    linked = blank.json("link")
    assert linked["accepted"] > 0
    assert [part["round"] for part in linked["rounds"]] == list(range(1, len(linked["rounds"]) + 1))
    rungs = {
        rung["name"]: rung for rung in blank.json("evaluate", "--rung", "descriptor", "--rung", "idqe+mmst")["rungs"]
    }
    assert rungs["descriptor"]["map"] > 0.4
    assert rungs["idqe+mmst"]["map"] > 0.95
    reasons = strong_pairs(blank, {*others, "copy.jpg"})
    assert reasons.pop(frozenset({others[0], "copy.jpg"})) is None  # a true near-duplicate stays joined
    assert len(reasons) > 20  # the mark is found on many pairs
    assert [pair for pair, reason in reasons.items() if reason is None] == []
    assert sum(Excluded(reason).is_artefact for reason in reasons.values()) > 20
    asked = [row["image"] for row in rows if not row["landmark"]][::17][MARKED : MARKED + ASKED]
    for name in asked:  # a photo that is not stored is judged as the stored ones are
        picture = marked(cv2.imread(str(photos / "images" / name)), "anywhere", rng)
        cv2.imwrite(str(tmp_path / name), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
    options = ("--verified-only", "--rounds", 2)
    found = blank.json("search", *(tmp_path / name for name in asked), *options)["searches"]
    assert [one["results"] for one in found] == [[]] * ASKED


def strong_pairs(cli: Cli, names: set[str]) -> dict[frozenset[str], str | None]:
    """Pairs of these photos that are matched as strongly as accepted ones, with why they take no part."""
    with sqlite3.connect(f"file:{cli.home}/ledger.sqlite?mode=ro", uri=True) as db:
        rows = db.execute(
            "SELECT x.name, y.name, excluded FROM pairs JOIN files x ON x.image = a JOIN files y ON y.image = b"
            " WHERE weight IS NOT NULL AND log_nfa >= 3"
        ).fetchall()
    found = ((Path(a).name, Path(b).name, reason) for a, b, reason in rows)
    return {frozenset((a, b)): reason for a, b, reason in found if {a, b} <= names}
