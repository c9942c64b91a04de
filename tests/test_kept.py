"""What cannot be looked at is not gone; what phones hold is read; what lmr made is passed over. Through the CLI."""

from __future__ import annotations

import shutil
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image

from lmr.jobs.ingest.plan import Look, plan
from lmr.reports.pictures import jpeg
from lmr.store.files import File
from tests.conftest import Cli


@pytest.fixture
def photos(little: Path, tmp_path: Path) -> Path:
    """Two disks below one folder, three photos each."""
    for disk, place in (("a", "bank"), ("b", "school")):
        (tmp_path / "photos" / disk).mkdir(parents=True)
        for source in sorted(little.glob(f"{place}-*.jpg"))[:3]:
            shutil.copy(source, tmp_path / "photos" / disk)
    return tmp_path / "photos"


def test_a_disk_that_is_not_mounted_takes_no_photos_away(blank: Cli, photos: Path, tmp_path: Path) -> None:
    assert blank.json("ingest", photos)["new"] == 6
    away = (photos / "b").rename(tmp_path / "away")
    for mounted in (False, True):  # its folder is missing, or there and empty
        if mounted:
            (photos / "b").mkdir()
        told = blank.run("ingest", photos, "--prune")
        assert told.returncode == 0 and "3 photos not to be seen now are kept" in told.stderr
        assert blank.json("status")["counts"]["images"] == 6
        counts = blank.json("ingest", photos)
        assert (len(counts["unseen"]), counts["vanished"]) == (3, [])
    (photos / "b").rmdir()
    away.rename(photos / "b")
    gone = sorted((photos / "b").iterdir())[0]
    gone.unlink()
    counts = blank.json("ingest", photos, "--prune")
    assert (counts["known"], counts["vanished"], counts["pruned"]) == (5, [str(gone)], 1)


def test_a_file_that_cannot_be_read_now_keeps_its_image_and_is_tried_again(blank: Cli, photos: Path) -> None:
    target, link = photos / "a" / "bank-0.jpg", photos / "b" / "linked.jpg"
    away = target.rename(photos.parent / "there.jpg")
    link.symlink_to(away)
    assert blank.json("ingest", photos)["new"] == 6
    hidden = away.rename(photos.parent / "elsewhere.jpg")
    counts = blank.json("ingest", photos)
    assert (counts["unread"], counts["set_aside"], counts["vanished"]) == ([str(link)], 0, [])
    found = blank.json("search", sorted((photos / "b").glob("school*"))[0], "--top", 20)["results"]
    assert [str(link)] in [row["paths"] for row in found]
    hidden.rename(away)
    assert blank.json("ingest", photos)["known"] == 6
    blank_photo = photos / "a" / "new.jpg"
    blank_photo.symlink_to(photos.parent / "later.jpg")
    assert blank.json("ingest", photos)["set_aside"] == 1
    shutil.copy(photos / "a" / "bank-1.jpg", photos.parent / "later.jpg")
    assert blank.json("ingest", photos)["duplicates"] == 1  # without --retry-failed


def test_a_phone_s_photos_are_read_and_lmr_s_own_pictures_are_not(blank: Cli, photos: Path) -> None:
    pillow_heif.register_heif_opener()
    picture = Image.open(photos / "a" / "bank-0.jpg")
    picture.save(photos / "a" / "IMG_0001.HEIC", format="HEIF", quality=90)
    shutil.copy(photos / "a" / "IMG_0001.HEIC", photos / "b" / "named.jpg")
    import numpy as np

    (photos / "b" / "montage.jpg").write_bytes(jpeg(np.asarray(picture)))
    counts = blank.json("ingest", photos)
    assert (counts["new"], counts["duplicates"], counts["set_aside"]) == (7, 1, 1)
    assert "made, not a photo" in Path(counts["reasons"]).read_text()


def test_gone_is_only_what_is_missing_from_a_folder_that_can_be_seen(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / ".hidden").touch()
    lost = bytes(here / "lost.jpg")

    def gone(path: bytes) -> bool:
        return [file.path for file in plan([tmp_path], [File(path, "x", 1, 1, 1, None)], Look()).gone] == [path]

    assert not gone(lost)  # nothing but hidden files: it has become empty
    (here / "other.jpg").touch()
    assert gone(lost)
    assert not gone(bytes(here / "other.jpg"))
    assert not gone(bytes(tmp_path / "nowhere" / "lost.jpg"))
    assert not gone(bytes(here / "other.jpg" / "below.jpg"))
    elsewhere = File(lost, "x", 1, 1, 1, None, device=here.stat().st_dev + 1)  # another disk lies there now
    assert not plan([tmp_path], [elsewhere], Look()).gone
