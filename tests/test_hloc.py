"""Features and matches in hloc's files: read as hloc reads them, they are what was extracted and matched."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import lmr
from lmr.method.features.pack import unpack
from tests.conftest import Cli, on_servers
from tests.places import make_place

h5py = pytest.importorskip("h5py", reason="needs h5py (`make setup`)")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hloc")
    for place in ("gate", "tower"):
        make_place(folder / "photos" / place, place)
    return folder


@pytest.fixture(scope="module")
def c(home: Path, running):
    with on_servers(running), lmr.open(home / "lmr", workers=1) as collection:
        collection.ingest(home / "photos")
        assert collection.link().accepted >= 2
        collection.cluster("components", min_weight=30)
        yield collection


def read_matches(path: Path, first: str, second: str) -> tuple[np.ndarray, np.ndarray]:
    """As hloc reads them: rows of both photos' points, and scores; names in either order."""
    with h5py.File(path, "r") as file:
        group, turned = f"{first.replace('/', '-')}/{second.replace('/', '-')}", False
        if group not in file:
            group, turned = "/".join(reversed(group.split("/"))), True
        rows, scores = file[group]["matches0"][()], file[group]["matching_scores0"][()]
    some = np.flatnonzero(rows != -1)
    pairs = np.stack([some, rows[some]], -1)
    return (pairs[:, ::-1] if turned else pairs), scores[some]


def test_files_are_those_of_hloc(c: lmr.Collection, home: Path, tmp_path: Path) -> None:
    told = Cli(home / "lmr").json("export", "hloc", tmp_path / "out")
    assert told["root"] == str(home / "photos") and told["photos"] == 4  # type: ignore[index]
    lines = [line.split(" ") for line in (tmp_path / "out" / "pairs.txt").read_text().splitlines()]
    assert len(lines) == told["pairs"] and ["gate/gate-1.jpg", "gate/gate-2.jpg"] in lines  # type: ignore[index]
    ledger = c._stores.ledger
    with h5py.File(tmp_path / "out" / "features.h5", "r") as file:
        for image in c.images():
            group = file[Path(image.paths[0]).relative_to(home / "photos").as_posix()]
            features = unpack(ledger.features.local(ledger.images.get(image.id).number))  # type: ignore[union-attr]
            assert np.array_equal(group["keypoints"][()], features.keypoints)
            assert group["descriptors"].shape == features.descriptors.shape[::-1]
            assert np.allclose(np.linalg.norm(group["descriptors"][()], axis=0), 1, atol=1e-5)
            like = group["descriptors"][()][:, 0] @ features.descriptors[0].astype(np.float32)
            assert like == pytest.approx(np.linalg.norm(features.descriptors[0].astype(np.float32)), rel=1e-4)
            assert tuple(group["image_size"]) == (image.width, image.height)
    pair = ("gate/gate-1.jpg", "gate/gate-2.jpg")
    one, two = (c.image(home / "photos" / name).id for name in pair)
    matches, scores = read_matches(tmp_path / "out" / "matches.h5", *pair)
    assert (scores == 1).sum() >= c.match(one, two).inliers > 20  # type: ignore[union-attr]
    with h5py.File(tmp_path / "out" / "features.h5", "r") as file:
        first, second = (file[name]["keypoints"][()][rows] for name, rows in zip(pair, matches.T))
    agree = scores == 1  # the second photo is the first, turned by 4 degrees and cropped
    there = (
        np.hstack([first[agree], np.ones((agree.sum(), 1))])
        @ np.linalg.lstsq(np.hstack([first[agree], np.ones((agree.sum(), 1))]), second[agree], rcond=None)[0]
    )
    assert np.median(np.abs(there - second[agree])) < 2


def test_nothing_of_the_users_is_written_over(c: lmr.Collection, home: Path, tmp_path: Path) -> None:
    cli = Cli(home / "lmr")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "features.h5").write_bytes(b"mine")
    done = cli.run("export", "hloc", tmp_path / "mine")
    assert done.returncode == 2 and "did not write it" in done.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir() if path.suffix in (".h5", ".txt")] == ["features.h5"]
    assert cli.run("export", "hloc", home / "lmr" / "out").returncode == 2
    assert cli.run("export", "hloc", tmp_path / "no" / "where").returncode == 2
    place = c.clusters()[0].id
    (tmp_path / "with others").mkdir()
    (tmp_path / "with others" / "note").write_text("mine")
    for _ in range(2):
        assert c.export_hloc(tmp_path / "with others", place=place).photos == 2
    assert (tmp_path / "with others" / "note").read_text() == "mine"


def test_names_that_hloc_could_not_tell_apart_are_refused(running, tmp_path: Path) -> None:
    """Last, as it makes another collection on the servers."""
    first, second = make_place(tmp_path / "made", "bridge")
    (tmp_path / "photos" / "a").mkdir(parents=True)
    shutil.move(first, tmp_path / "photos" / "a" / "b.jpg")
    shutil.move(second, tmp_path / "photos" / "a-b.jpg")
    with on_servers(running), lmr.open(tmp_path / "lmr", workers=1) as collection:
        collection.ingest(tmp_path / "photos")
        collection.link()
        with pytest.raises(lmr.UsageError, match="have one name"):
            collection.export_hloc(tmp_path / "out")
