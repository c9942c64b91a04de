"""Photos that are edited, rewritten, copied and taken away between two ingests. Through the CLI, on real files."""

from __future__ import annotations

import io
import os
import shutil
import struct
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import Cli

PLACES = ("bank", "school")


@pytest.fixture
def photos(little: Path, tmp_path: Path) -> Path:
    """Ten photos of two places."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for place in PLACES:
        for source in sorted(little.glob(f"{place}-*.jpg"))[:5]:
            shutil.copy(source, folder)
    return folder


def tag(path: Path, text: bytes = b"rating 5") -> None:
    """A comment in a JPEG, as programs write ratings and keywords: the pixels stay."""
    data = path.read_bytes()
    path.write_bytes(data[:2] + b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text + data[2:])


def saved(picture: Image.Image, path: Path, **how: object) -> Path:
    picture.save(path, quality=92, **how)
    return path


def results(cli: Cli, *words: object) -> list[dict]:
    return cli.json("search", *words, "--top", 30)["results"]


def test_a_tag_makes_no_other_image(blank: Cli, photos: Path) -> None:
    assert blank.json("ingest", photos)["new"] == 10
    blank("link")
    first, second = photos / "bank-1.jpg", photos / "bank-2.jpg"
    blank("reject", first, photos / "school-1.jpg", "--why", "not the same")
    blank("confirm", first, second)
    before = results(blank, second)
    for path in sorted(photos.glob("bank-*.jpg")):
        tag(path)
    counts = blank.json("ingest", photos)
    assert (counts["new"], counts["known"], len(counts["rewritten"]), counts["changed"]) == (0, 5, 5, [])
    assert blank.json("status")["counts"]["images"] == 10
    assert blank.json("link")["edges_new"] == 0
    after = results(blank, second)
    assert [(row["id"], row["reached"]) for row in after] == [(row["id"], row["reached"]) for row in before]
    assert len(after) == 9 and all(row["paths"] for row in after)
    copy = photos.parent / "copy.jpg"
    shutil.copy(first, copy)
    tag(copy, b"another tag")
    told = blank.json("search", copy)
    assert told["query"]["stored"]  # it shows what is stored
    twin = told["results"][0]
    assert (twin["paths"], twin["reached"], twin["hops"], twin["rank"]) == ([str(first)], "verified", 0, 1)
    assert [row["id"] for row in told["results"][1:]] == [row["id"] for row in results(blank, first)][:19]
    page = photos.parent / "copy.html"
    blank("search", copy, "--html", page)
    assert page.read_text().count("bank-1.jpg") > 1
    assert blank.json("ingest", photos)["known"] == 10  # the same again costs nothing
    assert blank.json("ingest", copy)["duplicates"] == 1
    assert blank.json("check") == []


def test_what_was_said_of_a_photo_holds_for_its_edits(blank: Cli, photos: Path) -> None:
    """A crop, and a rotation flag that is mended: another image with the label and the rulings of the first."""
    first, wrong = photos / "bank-1.jpg", photos / "school-1.jpg"
    labels = photos.parent / "labels.csv"
    labels.write_text("image,landmark,split\nbank-1.jpg,Bank,index\n")
    blank("ingest", photos, "--labels", labels)
    blank("link")
    blank("reject", first, wrong, "--why", "never")
    (old,) = [row["id"] for row in results(blank, photos / "bank-2.jpg") if row["paths"] == [str(first)]]
    picture = Image.open(first).convert("RGB")
    for edited in (picture.crop((20, 20, picture.width - 20, picture.height - 20)), picture.rotate(90, expand=True)):
        saved(edited, first)
        counts = blank.json("ingest", photos)
        assert (counts["new"], counts["changed"], counts["left"]) == (1, [str(first)], [str(first)])
        blank("link")
        told = results(blank, photos / "bank-2.jpg")
        (nowhere,) = [row for row in told if row["id"] == old]
        assert nowhere["paths"] == [] and nowhere["gone"]
        (lost,) = blank.json("check")
        assert (lost["where"], lost["count"], lost["examples"]) == ("photos", 1, [str(first)])
        assert "no file there" in blank("search", photos / "bank-2.jpg", "--top", 30)
        counts = blank.json("ingest", photos, "--prune")
        assert (counts["pruned"], counts["left"]) == (1, [])
        (new,) = [row for row in results(blank, photos / "bank-2.jpg") if row["paths"] == [str(first)]]
        assert new["landmark"] == "Bank" and new["id"] != old
        rulings = photos.parent / f"{new['id'][:8]}.csv"
        blank("export", "rulings", rulings)
        assert any(new["id"] in line and "rejected,never" in line for line in rulings.read_text().splitlines())
        old = new["id"]
    assert blank.json("status")["counts"]["images"] == 10


def test_a_change_that_keeps_size_and_time_is_seen(blank: Cli, photos: Path) -> None:
    phone = photos / "phone.jpg"
    exif = Image.Exif()
    exif[0x112] = 1
    saved(Image.open(photos / "bank-1.jpg").convert("RGB").rotate(90, expand=True), phone, exif=exif)
    blank("ingest", photos)
    status, data = phone.stat(), phone.read_bytes()
    at = data.index(b"\x01\x12\x00\x03") + 8
    with phone.open("r+b") as file:
        file.seek(at)
        file.write(b"\0\6\0\0")
    os.utime(phone, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (phone.stat().st_size, phone.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    counts = blank.json("ingest", photos, "--prune")
    assert (counts["known"], counts["changed"], counts["pruned"]) == (10, [str(phone)], 1)
    assert blank.json("search", phone)["query"]["stored"]


def test_verify_reads_every_file(blank: Cli, photos: Path) -> None:
    """Where a disk keeps neither times nor numbers of files, only the bytes tell."""
    blank("ingest", photos)
    counts = blank.json("ingest", photos, "--verify")
    assert (counts["new"], counts["known"], counts["rewritten"]) == (0, 10, [])


def test_copies_that_were_cut_short_are_taken_in_once_they_are_whole(blank: Cli, photos: Path) -> None:
    folder, whole = photos.parent / "copies", {}
    folder.mkdir()
    for k, part in enumerate((20, 40, 60, 80)):
        stream = io.BytesIO()
        Image.open(photos / f"bank-{k}.jpg").convert("RGB").save(stream, "JPEG", quality=92)
        whole[folder / f"{k}.jpg"] = data = stream.getvalue()
        (folder / f"{k}.jpg").write_bytes(data[: len(data) * part // 100] + bytes(len(data) - len(data) * part // 100))
    assert blank.json("ingest", folder)["set_aside"] == 4
    for path, data in whole.items():
        path.write_bytes(data)
    counts = blank.json("ingest", folder)
    assert (counts["new"], counts["set_aside"]) == (4, 0)
    shown = results(blank, folder / "0.jpg")
    assert len(shown) >= 3 and all(row["paths"] for row in shown)


def test_photos_leave_by_a_setting_too(blank: Cli, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blank("ingest", photos)
    (photos / "bank-3.jpg").unlink()
    counts = blank.json("ingest", photos)
    assert (counts["vanished"], counts["pruned"]) == ([str(photos / "bank-3.jpg")], 0)
    monkeypatch.setenv("LMR_PRUNE", "yes")
    assert blank.json("ingest", photos)["pruned"] == 1
    assert blank.json("status")["counts"]["images"] == 9
    monkeypatch.setenv("LMR_PRUNE", "perhaps")
    assert blank.run("ingest", photos).returncode == 2


def test_a_moved_photo_is_the_same_and_one_on_a_missing_disk_has_not_moved(blank: Cli, photos: Path) -> None:
    blank("ingest", photos)
    there = photos / "sub"
    there.mkdir()
    (photos / "bank-3.jpg").rename(there / "renamed.jpg")
    counts = blank.json("ingest", photos)
    assert counts["moved"] == [f"{photos / 'bank-3.jpg'} -> {there / 'renamed.jpg'}"]
    assert (counts["new"], counts["vanished"], counts["left"]) == (0, [], [])


def test_a_plain_picture_is_told_and_finds_nothing(blank: Cli, photos: Path) -> None:
    Image.new("RGB", (300, 200), "white").save(photos / "plain.png")
    Image.new("RGBA", (300, 200), (0, 0, 0, 0)).save(photos / "empty.png")
    counts = blank.json("ingest", photos)
    assert (counts["new"], counts["set_aside"], counts["plain"]) == (10, 2, 2)
    blank("link")
    told = blank.json("search", photos / "plain.png")
    assert told["results"] == [] and told["effort"]["ended"] == "plain"
    told = blank.run("search", photos / "plain.png")
    assert told.returncode == 0 and "nothing in it to be found by" in told.stderr


def test_folders_as_people_have_them(blank: Cli, photos: Path) -> None:
    folder, source = photos.parent / "all", photos / "bank-1.jpg"
    for sub in ("phone", "nas/@eaDir/a.jpg", "nas/#recycle", "nas/__MACOSX", "links", "elsewhere", "odd", "drafts"):
        (folder / sub).mkdir(parents=True)
    (folder / "phone" / "IMG_1.MOV").write_bytes(b"\0\0\0\x14ftypqt  " + bytes(500))
    (folder / "phone" / "IMG_1.AAE").write_text("<plist/>")
    (folder / "phone" / "photos.zip").write_bytes(b"PK\3\4")
    shutil.copy(source, folder / "nas" / "a.jpg")
    for hidden in ("@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg", "#recycle/deleted.jpg", "__MACOSX/._a.jpg"):
        shutil.copy(photos / "bank-2.jpg", folder / "nas" / hidden)
    shutil.copy(photos / "bank-3.jpg", folder / "elsewhere" / "linked.jpg")
    (folder / "links" / "2019").symlink_to(folder.parent / "photos")
    (folder / "links" / "loop").symlink_to(folder)
    for ending in ("", ".jpg.1", ".jpeg_large", ".jpg!d"):  # what nobody names so is looked into
        shutil.copy(photos / "school-1.jpg", folder / "odd" / f"a{ending}")
    shutil.copy(photos / "school-2.jpg", folder / "odd" / "b.jpg~")
    (folder / "odd" / "notes").write_text("no photo")
    (folder / "odd" / "text.jpg").write_text("this is no photo")
    shutil.copy(photos / "school-3.jpg", folder / "drafts" / "c.jpg")
    counts = blank.json("ingest", folder, "--exclude", "drafts")
    assert (counts["new"], counts["duplicates"], counts["set_aside"]) == (3, 3, 1)
    assert counts["skipped"] == {
        "archives": 1,
        "backups and partial downloads": 1,
        "deleted files": 1,
        "excluded files": 1,
        "linked folders": 1,
        "other files": 1,
        "sidecars": 1,
        "system files": 1,
        "thumbnails": 1,
        "videos": 1,
    }
    listed = Path(counts["reasons"]).read_text()
    assert "IMG_1.MOV" in listed and "passed over: 1 archives" in listed and "not an image in a known format" in listed
    told = blank.run("ingest", folder, "--exclude", "drafts")
    assert "1 videos" in told.stderr and "--follow-links looks into them" in told.stderr
    assert blank.json("ingest", folder, "--exclude", "drafts", "--follow-links")["new"] == 7
    assert blank.json("ingest", folder)["new"] == 0  # school-3 came by the link
    before = blank.json("status")["counts"]["images"]
    counts = blank.json("ingest", folder, "--exclude", "drafts", "--prune")  # passed over now, but there
    assert counts["pruned"] == 0 and str(folder / "drafts" / "c.jpg") in counts["passed_over"]
    assert blank.json("status")["counts"]["images"] == before


def test_own_pages_are_no_photos(blank: Cli, photos: Path) -> None:
    blank("ingest", photos)
    blank("link")
    blank("search", photos / "bank-1.jpg", "--html", photos / "page.html")
    blank("explain", photos / "bank-1.jpg", photos / "bank-2.jpg", "--picture", photos / "why.jpg")
    counts = blank.json("ingest", photos)
    assert (counts["new"], counts["known"]) == (0, 10)
    assert counts["skipped"]["pictures made by lmr"] > 2
    assert "a picture that lmr made" in Path(counts["reasons"]).read_text()
