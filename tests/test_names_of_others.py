"""Labels, matches and rulings as people have them, through the CLI: everything finds its photo, or is told."""

from __future__ import annotations

import csv
import os
import shutil
import sqlite3
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from lmr.settings import Settings
from lmr.store.graph import Graph
from tests.conftest import Cli, forget


def database(cli: Cli, select: str, *values: object) -> list[Any]:
    with sqlite3.connect(f"file:{cli.home}/ledger.sqlite?mode=ro", uri=True) as db:
        return db.execute(select, values).fetchall()


def landmarks(cli: Cli) -> dict[str, str]:
    select = "SELECT name, landmark FROM files JOIN images ON number = image WHERE landmark IS NOT NULL"
    return {unicodedata.normalize("NFC", name): landmark for name, landmark in database(cli, select)}


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.fixture
def photos(little: Path, tmp_path: Path) -> Path:
    """Five photos as in the reports: decomposed accents, one name in two folders, blanks, capitals."""
    folder = tmp_path / "photos"
    sources = [*sorted(little.glob("bank-*.jpg"))[:3], *sorted(little.glob("mill-*.jpg"))[:2]]
    names = ["Müllerstraße_é.jpg", "IMG_0001.JPG", "2019/DSC_0001.jpg", "2020/DSC_0001.jpg", "2020/with space.jpg"]
    for source, name in zip(sources, names, strict=True):
        target = folder / unicodedata.normalize("NFD", name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    return folder


def test_labels_matches_and_names_on_the_command_line(blank: Cli, photos: Path, tmp_path: Path) -> None:
    assert blank.json("ingest", photos)["new"] == 5
    labels_find_their_photos(blank, photos, tmp_path / "labels.csv")
    matches_find_their_photos(blank, photos, tmp_path / "matches.csv")
    commands_find_their_photos(blank, photos)
    blank("check")


def labels_find_their_photos(cli: Cli, photos: Path, file: Path) -> None:
    head, dsc = "image,landmark\n", "2019/DSC_0001.jpg"
    for text, encoding, expected in (
        (head + "Müllerstraße_é.jpg,a\n", "utf-8", {"Müllerstraße_é.jpg": "a"}),
        ("image;landmark\nIMG_0001.JPG;b\n", "utf-8", {"IMG_0001.JPG": "b"}),
        (head + "IMG_0001.JPG,c\n", "utf-16", {"IMG_0001.JPG": "c"}),
        (head + "IMG_0001.JPG,Müller\n", "latin-1", {"IMG_0001.JPG": "Müller"}),
        (head + "2020\\DSC_0001.jpg,d\n", "utf-8", {"2020/DSC_0001.jpg": "d"}),
        ("Image, Landmark\nimg_0001.jpg , e\n", "utf-8", {"IMG_0001.JPG": "e"}),
        (head + "IMG_0001,f\n", "utf-8", {"IMG_0001.JPG": "f"}),
        (head + f"./{dsc},g\nphotos/{dsc},g\n{photos}/{dsc},g\n", "utf-8", {dsc: "g"}),
    ):
        before = landmarks(cli)
        counts = cli.json("ingest", photos, "--labels", write(file, text, encoding))
        assert (counts["labelled"], counts["labels_unknown"], counts["labels_unknown_names"]) == (1, 0, []), text
        assert landmarks(cli) == {**before, **expected}
    before = landmarks(cli)
    for text, told in (
        ("IMG_0001.JPG,x\nimg_0001.jpg,y\n", ("line 2", "line 3", "IMG_0001.JPG", "x, y")),
        ("DSC_0001.jpg,x\n", ("2019/DSC_0001.jpg", "2020/DSC_0001.jpg", ":2:")),
    ):
        refused = cli.run("ingest", photos, "--labels", write(file, head + text))
        assert refused.returncode == 2 and all(part in refused.stderr for part in told), refused.stderr
    assert landmarks(cli) == before
    write(file, head + "not_there.jpg,x\nIMG_0001.JPG,y\nnor\x1b[2Jthis.jpg,x\n")
    counts = cli.json("ingest", photos, "--labels", file)
    assert (counts["labelled"], counts["labels_unknown"]) == (1, 2)
    assert counts["labels_unknown_names"] == ["not_there.jpg", "nor\x1b[2Jthis.jpg"]
    told = cli.run("ingest", photos, "--labels", file).stderr
    assert f"2 rows of {file} name no photo here: not_there.jpg, nor\\x1b[2Jthis.jpg\n" in told
    shutil.copy(photos / dsc, photos / "copy.jpg")
    refused = cli.run("ingest", photos, "--labels", write(file, f"{head}{dsc},x\ncopy.jpg,y\n"))
    assert refused.returncode == 2 and f"{photos}/copy.jpg" in refused.stderr and f"{photos}/{dsc}" in refused.stderr
    assert landmarks(cli)["2019/DSC_0001.jpg"] == "g"


def matches_find_their_photos(cli: Cli, photos: Path, file: Path) -> None:
    a, b, images = "2019/DSC_0001.jpg", "2020/with space.jpg", cli.json("status")["counts"]["images"]
    for k, (first, second) in enumerate(
        (
            (f"{a},{b},99", 1),
            (f"{photos}/{a},{photos}/{b},97", 0),
            (f"./{a},./2020//{b[5:]},96", 0),
            ("img_0001.jpg,WITH SPACE.jpg,95", 1),
            ("with space.jpg,IMG_0001.JPG 44", 0),
            ("IMG_0001.JPG,Müllerstraße_é 44", 1),
        )
    ):
        header = "a,b,inliers\n" if k < 4 else ""
        done = cli.json("import", "edges", write(file, header + first + "\n"))
        assert done == {"images": 0, "matches": second, "known": 1 - second}, first
    for text, told in (
        ("a,b,inliers\nDSC_0001.jpg,with space.jpg,98\n", ("2019/DSC_0001.jpg", "2020/DSC_0001.jpg", str(file))),
        ("2019/DSC_0001.jpg 2020/DSC_0001.jpg\n", ("inliers",)),
        ("a,b,inliers\nIMG_0001.JPG,with space.jpg,-3\n", ("more than 0",)),
        ("", ("empty",)),
    ):
        before = database(cli, "SELECT * FROM pairs")
        refused = cli.run("import", "edges", write(file, text))
        assert refused.returncode == 2 and all(part in refused.stderr for part in told), refused.stderr
        assert database(cli, "SELECT * FROM pairs") == before
    write(file, f"image1;image2;num_inliers\nx.jpg;y.jpg;50\n{a};{a};9\n{a};x.jpg;9\n")
    done = cli.json("import", "edges", file)
    assert done["refused"] == {"a name is unknown": 2, "both names are of one image": 1}
    assert (done["images"], done["unknown"], done["unknown_names"]) == (0, 2, ["x.jpg", "y.jpg"])
    told = cli.run("import", "edges", file).stderr
    assert "2 names are of no photo here: x.jpg, y.jpg" in told and "--bare" in told
    assert cli.json("status")["counts"]["images"] == images
    done = cli.json("import", "edges", file, "--bare")
    assert (done["images"], done["matches"]) == (2, 2)
    assert cli.json("import", "edges", file, "--bare")["known"] == 2
    cli("remove", "x.jpg", "y.jpg")


def commands_find_their_photos(cli: Cli, photos: Path) -> None:
    cli("confirm", "müllerstraße_É", "2020\\DSC_0001.jpg")
    cli("reject", "photos/2019/DSC_0001.jpg", unicodedata.normalize("NFC", "Müllerstraße_é.jpg"))
    assert {row[0] for row in database(cli, "SELECT verdict FROM verdicts")} == {"confirmed", "rejected"}
    assert cli.json("explain", "IMG_0001", "with space")["joined"]
    refused = cli.run("explain", "IMG_0001", "DSC_0001.jpg")
    assert refused.returncode == 2 and "2019/DSC_0001.jpg and" in refused.stderr
    refused = cli.run("remove", "IMG_001.JPG")
    assert refused.returncode == 2 and "nearest name is IMG_0001.JPG" in refused.stderr
    os.link(photos / "IMG_0001.JPG", photos.parent / "linked.jpg")
    assert cli.json("remove", photos.parent / "linked.jpg")["images"] == 1
    assert cli.json("remove", photos / "2020")["images"] == 2


def test_a_match_takes_part_where_none_had_been_found(blank: Cli, little: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("bank", "mill"):
        for path in sorted(little.glob(f"{name}-*.jpg"))[:5]:
            shutil.copy(path, folder)
    blank("ingest", folder)
    blank("link")
    select = (
        "SELECT x.path, y.path, p.a, p.b FROM pairs p JOIN files x ON x.image = a JOIN files y ON y.image = b"
        " WHERE weight IS NULL ORDER BY x.path, y.path LIMIT 2"
    )
    pairs = [(os.fsdecode(a), os.fsdecode(b), *numbers) for a, b, *numbers in database(blank, select)]
    lines = "".join(f"{Path(a).name},{b},200\n" for a, b, *_ in pairs)
    file = write(tmp_path / "m.csv", "a,b,inliers\n" + lines)
    blank("reject", pairs[1][0], pairs[1][1])
    done = blank.json("import", "edges", file)
    expected = {"images": 0, "matches": 1, "known": 0, "replaced": 1, "refused": {"a person rejected it": 1}}
    assert done == expected
    told = blank.run("import", "edges", file)
    assert "1 known already" in told.stdout and "not taken, as a person rejected it: 1\n" in told.stderr
    a, b, *numbers = pairs[0]
    kept = "SELECT inliers, excluded, similarity, weight FROM pairs WHERE a = ? AND b = ?"
    for words in (("check",), ("repair",), ("check",), ("train",), ("check",), ("link",), ("check",)):
        blank(*words)
        ((inliers, excluded, similarity, weight),) = database(blank, kept, *numbers)
        assert (inliers, excluded) == (200, None) and similarity not in (0, 1)
        assert abs(weight - 200 - Settings().similarity_weight * similarity) < 1e-5
    hops = blank.json("explain", a, b)["path"]
    assert [hop["inliers"] for hop in hops] == [200]
    exported = tmp_path / "out.csv"
    blank("export", "edges", exported)
    taken = blank.json("import", "edges", exported)
    assert taken["matches"] == 0 and sum(taken.get("refused", {}).values()) + taken["known"] == len(rows(exported))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_rulings_go_to_another_collection_of_the_same_photos(
    blank: Cli, little: Path, tmp_path: Path, running: tuple[Graph, str]
) -> None:
    for place, name in (("one", "{}"), ("other", "moved/{}")):
        for path in sorted(little.glob("bank-*.jpg"))[:4]:
            target = tmp_path / place / name.format(path.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    first, second, third, fourth = sorted(path.name for path in (tmp_path / "one").iterdir())
    blank("ingest", tmp_path / "one")
    blank("reject", first, second, "--why", "=the same; banner")
    blank("confirm", third, second)
    blank("confirm", fourth, second)
    file = tmp_path / "rulings.csv"
    assert blank.json("export", "rulings", file)["rulings"] == 3
    assert {row["why"] for row in rows(file)} == {"'=the same; banner", ""}
    done = blank.json("import", "rulings", file)
    assert (done["taken"], done["known"], done["waiting"]) == (0, 3, 0)
    before = database(blank, "SELECT * FROM verdicts ORDER BY a, b")
    forget(running)

    other = Cli(tmp_path / "lmr2")
    late = tmp_path / "other" / "moved" / fourth
    late.rename(tmp_path / fourth)
    other("ingest", tmp_path / "other")
    other("confirm", first, second)  # it is later, and so it stands
    done = other.json("import", "rulings", file)
    assert (done["rulings"], done["taken"], done["older"], done["waiting"]) == (3, 2, 1, 1)
    assert done["waiting_names"] == [fourth] and done["refused"] == {}
    assert other.json("import", "rulings", file)["known"] == 2
    assert database(other, "SELECT count(*) FROM pairs WHERE confirmed = 1") == [(2,)]
    other("check")
    (tmp_path / fourth).rename(late)
    other("ingest", tmp_path / "other")
    other("link")
    assert database(other, "SELECT count(*) FROM pairs WHERE confirmed = 1") == [(3,)]
    other("check")
    at = {row[:2]: row[2:] for row in database(other, "SELECT * FROM verdicts")}
    assert {row[:2] for row in before} == at.keys() and [row for row in before if at[row[:2]] != row[2:]] == [
        row for row in before if row[2] == "rejected"
    ]


def test_a_restore_keeps_what_was_said_since(blank: Cli, little: Path, tmp_path: Path) -> None:
    for path in sorted(little.glob("bank-*.jpg"))[:4]:
        (tmp_path / "photos").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / "photos")
    first, second, third, fourth = sorted(path.name for path in (tmp_path / "photos").iterdir())
    blank("ingest", tmp_path / "photos")
    blank("confirm", first, second)
    blank("confirm", third, fourth)
    blank("backup", tmp_path / "kept.lmr")
    blank("reject", first, second, "--why", "since")
    blank("confirm", first, third)
    blank("restore", tmp_path / "kept.lmr")
    said = database(blank, "SELECT verdict, count(*) FROM verdicts GROUP BY verdict ORDER BY verdict")
    assert said == [("confirmed", 2), ("rejected", 1)]
    blank("repair")
    blank("check")
    pairs = database(blank, "SELECT excluded, confirmed FROM pairs WHERE confirmed = 1 OR excluded = 'rejected'")
    assert sorted(pairs, key=str) == [("rejected", 0), (None, 1), (None, 1)]
