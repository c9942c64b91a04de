"""Videos among photos: their key frames are images, found and shown as photos are. Through the CLI, on real videos."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from tests.conftest import ROOT, Cli
from tests.photos.test_video import write


@pytest.fixture
def folder(little: Path, tmp_path: Path) -> Path:
    """Four photos of a bank, and a clip of 6 s: the bank, a chapel, the bank from elsewhere."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for k in (0, 1, 3, 4):
        shutil.copy(little / f"bank-{k}.jpg", photos)
    scenes = [
        cv2.resize(cv2.imread(str(little / f"{name}.jpg")), (640, 480)) for name in ("bank-2", "chapel-1", "bank-query")
    ]
    write(photos / "clip.mp4", [(scene[..., ::-1], 20) for scene in scenes])
    (photos / "IMG_1.MOV").write_bytes(b"\0\0\0\x14ftypqt  " + bytes(5000))
    return photos


def test_frames_of_a_video_are_taken_in_found_and_shown(blank: Cli, folder: Path, little: Path, tmp_path: Path) -> None:
    counts = blank.json("ingest", folder)
    assert (counts["new"], counts["videos"], counts["skipped"]) == (7, 1, {"videos": 1})
    assert "IMG_1.MOV" in Path(counts["reasons"]).read_text()
    blank("link")
    page = tmp_path / "page.html"
    clip = folder / "clip.mp4"
    found = blank.json("search", folder / "bank-1.jpg", "--html", page)["results"]
    verified = {path for row in found if row["reached"] == "verified" for path in row["paths"]}
    assert {f"{clip}@0", f"{clip}@4"} <= verified and not any(row["gone"] for row in found)
    assert f"{clip.name}@0" in page.read_text()
    assert blank.json("search", f"{clip}@0")["query"]["stored"]
    assert blank.json("check") == []
    counts = blank.json("ingest", folder)
    assert (counts["new"], counts["known"], counts["skipped"]) == (0, 7, {"videos": 1})
    moved = clip.rename(folder / "renamed.mp4")
    counts = blank.json("ingest", folder, "--prune")
    assert (counts["new"], counts["pruned"], len(counts["moved"])) == (0, 0, 3)
    write(moved, [(cv2.imread(str(little / "school-1.jpg"))[..., ::-1], 20)])
    counts = blank.json("ingest", folder)
    assert (counts["new"], len(counts["left"])) == (1, 3)
    moved.unlink()
    counts = blank.json("ingest", folder, "--prune")
    assert counts["pruned"] == 4
    assert blank.json("status")["counts"]["images"] == 4


def test_without_the_extra_videos_are_told(blank: Cli, folder: Path) -> None:
    (folder.parent / "blocked").mkdir()
    (folder.parent / "blocked" / "sitecustomize.py").write_text('import sys; sys.modules["av"] = None')
    path = os.pathsep.join([str(folder.parent / "blocked"), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "LMR_HOME": str(blank.home), "PYTHONPATH": path}
    words = [sys.executable, "-m", "lmr", "ingest", str(folder)]
    told = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert told.returncode == 0 and "4 new" in told.stdout
    assert "2 videos" in told.stderr and "lmr[video]" in told.stderr
