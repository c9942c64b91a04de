"""Pairs and COLMAP databases: what is written is what was matched, and a place comes out of it in 3-D."""

from __future__ import annotations

import csv
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import lmr
from lmr.method.features.pack import unpack
from tests.conftest import Cli, on_servers

pycolmap = pytest.importorskip("pycolmap", reason="needs pycolmap (`make setup`)")


@pytest.fixture(scope="module")
def home(running, little: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reconstruction")
    for place in ("bank", "school"):
        (folder / "photos" / place).mkdir(parents=True)
        for path in sorted(little.glob(f"{place}-*.jpg"))[:6]:
            shutil.copy(path, folder / "photos" / place)
    return folder


@pytest.fixture(scope="module")
def c(home: Path, running):
    with on_servers(running), lmr.open(home / "lmr", workers=1) as collection:
        collection.ingest(home / "photos")
        assert collection.link().accepted > 5
        collection.cluster("components", min_weight=12)
        yield collection


def accepted(c: lmr.Collection, home: Path) -> dict[tuple[str, str], int]:
    """Names of both photos of each match that takes part, and its inliers."""
    c.export_edges(home / "all.csv")
    paths = {image.id: Path(image.paths[0]).relative_to(home / "photos").as_posix() for image in c.images()}
    rows = [row for row in csv.DictReader((home / "all.csv").open()) if not row["excluded"]]
    (home / "all.csv").unlink()
    return {tuple(sorted((paths[row["a"]], paths[row["b"]]))): int(row["inliers"]) for row in rows}  # type: ignore[misc]


def test_a_list_of_pairs_names_all_that_takes_part(c: lmr.Collection, home: Path, tmp_path: Path) -> None:
    wanted = accepted(c, home)
    done = c.export_pairs(tmp_path / "pairs.txt")
    lines = [tuple(line.split(" ")) for line in (tmp_path / "pairs.txt").read_text().splitlines()]
    assert lines == sorted(wanted) and done.pairs == len(wanted) and done.root == home / "photos"
    one = c.export_pairs(tmp_path / "one.txt", place=c.clusters()[0].id, photos=home)
    names = (tmp_path / "one.txt").read_text().split()
    assert 0 < one.pairs < done.pairs and len({name.split("/")[1] for name in names}) == 1
    assert all(name.startswith("photos/") for name in names)


def test_a_database_holds_points_matches_and_inliers(c: lmr.Collection, home: Path, tmp_path: Path) -> None:
    done = c.export_colmap(tmp_path / "database.db")
    wanted = accepted(c, home)
    with sqlite3.connect(tmp_path / "database.db") as found:
        names = dict(found.execute("SELECT image_id, name FROM images"))
        sizes = dict(found.execute("SELECT name, width || ' ' || height FROM images JOIN cameras USING (camera_id)"))
    assert set(names.values()) == {name for pair in wanted for name in pair} and done.photos == len(names)
    database = pycolmap.Database.open(tmp_path / "database.db")
    id_of = {name: number for number, name in names.items()}
    ledger = c._stores.ledger
    for image in c.images():
        name = Path(image.paths[0]).relative_to(home / "photos").as_posix()
        if name not in id_of:
            continue
        features = unpack(ledger.features.local(ledger.images.get(image.id).number))  # type: ignore[union-attr]
        points = database.read_keypoints(id_of[name])
        assert np.allclose(points[:, :2], features.keypoints + 0.5) and sizes[name] == f"{image.width} {image.height}"
    for (a, b), inliers in wanted.items():
        matches = database.read_matches(id_of[a], id_of[b])
        geometry = database.read_two_view_geometry(id_of[a], id_of[b])
        agree = {tuple(row) for row in geometry.inlier_matches.tolist()}
        assert len(matches) == len({row[0] for row in matches.tolist()}) == len({row[1] for row in matches.tolist()})
        assert agree <= {tuple(row) for row in matches.tolist()}
        assert len(agree) >= inliers  # of those at one place only one counts
    database.close()


def test_a_place_comes_out_in_three_dimensions(c: lmr.Collection, home: Path, tmp_path: Path) -> None:
    """The made buildings are boxes: all photos of the greatest place are registered to each other."""
    place = c.clusters()[0]
    done = c.export_colmap(tmp_path / "database.db", place=place.id)
    options = pycolmap.IncrementalPipelineOptions()
    options.random_seed = 1
    pycolmap.geometric_verification(tmp_path / "database.db")
    models = pycolmap.incremental_mapping(tmp_path / "database.db", done.root, tmp_path, options)
    assert models and max(model.num_reg_images() for model in models.values()) >= 3
    best = max(models.values(), key=lambda model: model.num_reg_images())
    assert best.num_points3D() > 50 and best.compute_mean_reprojection_error() < 2.5


def test_what_cannot_be_written_is_told(c: lmr.Collection, home: Path, tmp_path: Path) -> None:
    with pytest.raises(lmr.UsageError, match="does not lie under"):
        c.export_pairs(tmp_path / "pairs.txt", photos=home / "photos" / "bank")
    with pytest.raises(lmr.UsageError, match="no such folder"):
        c.export_pairs(tmp_path / "pairs.txt", photos=home / "nowhere")
    with pytest.raises(lmr.UsageError, match="no cluster"):
        c.export_colmap(tmp_path / "database.db", place="nothing")
    with pytest.raises(lmr.UsageError, match="no cluster"):
        c.export_pairs(tmp_path / "pairs.txt", place="")
    (tmp_path / "mine.db").write_bytes(b"mine")
    with pytest.raises(lmr.UsageError):
        c.export_colmap(tmp_path / "mine.db")
    assert (tmp_path / "mine.db").read_bytes() == b"mine" and not (tmp_path / "pairs.txt").exists()


def test_the_commands(c: lmr.Collection, home: Path, tmp_path: Path) -> None:
    cli = Cli(home / "lmr")
    told = cli.json("export", "colmap", tmp_path / "a.db")
    assert isinstance(told, dict) and told["pairs"] > 5 and Path(told["root"]) == home / "photos"
    said = cli("export", "pairs", tmp_path / "a.txt")
    assert f"{told['pairs']} pairs of {told['photos']} photos" in said
    shown = cli("clusters").splitlines()[1].split("\t")[0]  # not the whole id
    assert shown != c.clusters()[0].id
    place = cli.json("export", "colmap", tmp_path / "b.db", "--place", shown)
    assert isinstance(place, dict) and 0 < place["pairs"] < told["pairs"]


def test_what_was_verified_there_is_taken_in(c: lmr.Collection, home: Path, running, tmp_path: Path) -> None:
    """Last, as it makes another collection on the servers."""
    c.export_colmap(tmp_path / "database.db")
    wanted = accepted(c, home)
    before = (tmp_path / "database.db").read_bytes()
    assert c.import_edges(tmp_path / "database.db").matches == 0  # they are known
    (tmp_path / "wrong.db").write_bytes(b"no database" * 100)
    with pytest.raises(lmr.UsageError, match="COLMAP"):
        c.import_edges(tmp_path / "wrong.db")
    with on_servers(running), lmr.open(tmp_path / "bare", workers=1) as other:
        assert other.import_edges(tmp_path / "database.db", bare=True).matches == len(wanted)
    assert (tmp_path / "database.db").read_bytes() == before


def test_photos_of_a_phone_are_written_upright(running, little: Path, tmp_path: Path) -> None:
    """Turned by a note, in a folder with blanks in its name, and in formats that COLMAP reads otherwise or not at all."""
    folder = tmp_path / "photos" / "July, at the sea"
    folder.mkdir(parents=True)
    sources = sorted(little.glob("bank-*.jpg"))[:5]
    for k, path in enumerate(sources):
        with PIL.Image.open(path) as photo:
            tags = PIL.Image.Exif()
            tags[0x112] = 6  # shown turned by 90 degrees clockwise
            kind = {0: "png", 1: "tif"}.get(k, "jpg")
            photo.rotate(90, expand=True).save(
                folder / f"IMG {k}.{kind}", exif=tags, **({} if k < 2 else {"quality": 95})
            )
    with on_servers(running), lmr.open(tmp_path / "lmr", workers=1) as c:
        c.ingest(tmp_path / "photos")
        assert c.link().accepted > 3
        done = c.export_colmap(tmp_path / "database.db", upright=tmp_path / "upright")
        assert done.root == tmp_path / "upright" and not done.left_out
        with sqlite3.connect(tmp_path / "database.db") as found:
            rows = found.execute("SELECT name, width, height FROM images JOIN cameras USING (camera_id)").fetchall()
        assert {name for name, _, _ in rows} == {path.name for path in (tmp_path / "upright").glob("*.jpg")}
        assert len(rows) == done.photos and all(" " not in name for name, _, _ in rows)
        for name, width, height in rows:
            source = sources[int(name.split("_")[1].split(".")[0])]
            with PIL.Image.open(tmp_path / "upright" / name) as made, PIL.Image.open(source) as before:
                assert made.size == before.size == (width, height) and "exif" not in made.info
                assert np.abs(np.asarray(made, int) - np.asarray(before, int)).mean() < 6
        first = {path: path.stat().st_mtime_ns for path in (tmp_path / "upright").glob("*.jpg")}
        c.export_colmap(tmp_path / "database.db", upright=tmp_path / "upright")
        assert {path: path.stat().st_mtime_ns for path in first} == first
        assert c.ingest(tmp_path / "upright").new == 0  # they are lmr's own
        models = pycolmap.incremental_mapping(tmp_path / "database.db", done.root, tmp_path)
        assert models is not None
        (folder / "IMG 4.jpg").write_bytes(b"")
        assert len(c.export_colmap(tmp_path / "fewer.db", upright=tmp_path / "upright").left_out) == 1
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "a.jpg").write_bytes(b"mine")
        with pytest.raises(lmr.UsageError):
            c.export_colmap(tmp_path / "other.db", upright=tmp_path / "mine")
        assert not (tmp_path / "other.db").exists()
