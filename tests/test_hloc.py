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


def scattered(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """60 points all over a photo of 480 x 360 px, and descriptors that are like no others."""
    rng = np.random.default_rng(seed)
    return rng.uniform((5, 5), (400, 300), (60, 2)), rng.normal(size=(32, 60)).astype(np.float32)


def put(path: Path, **photos: dict[str, np.ndarray]) -> Path:
    with h5py.File(path, "w") as file:
        for name, parts in photos.items():
            for part, value in parts.items():
                file[f"{name.replace('__', '/')}.jpg/{part}"] = value
    return path


def test_points_of_others_join_what_was_compared_in_vain(c: lmr.Collection, home: Path, tmp_path: Path) -> None:
    """Two photos of different places: anybody's points that agree between them are believed, and others are not."""
    one, two = (c.image(home / "photos" / place / f"{place}-1.jpg").id for place in ("gate", "tower"))
    before = c.match(one, two)
    assert before is not None and not before.takes_part  # compared, and no match
    points, descriptors = scattered(1)
    shuffled = np.random.default_rng(2).permutation(60)
    wrong = put(
        tmp_path / "wrong.h5",
        **{"gate__gate-1": {"keypoints": points, "descriptors": descriptors}},
        **{"tower__tower-1": {"keypoints": points[shuffled], "descriptors": descriptors}},  # alike, elsewhere
        unknown={"keypoints": points, "descriptors": descriptors},
    )
    cli = Cli(home / "lmr")
    told = cli.run("import", "features", wrong)
    assert told.returncode == 0 and "0 new images, 0 new matches, 0 known" in told.stdout
    assert "points do not agree: 1" in told.stderr and "1 names are of no photo here: unknown.jpg" in told.stderr
    there = points @ np.array([[0.9, 0.05], [-0.05, 0.9]]).T + (30, 20)
    right = put(
        tmp_path / "right.h5",
        **{"gate__gate-1": {"keypoints": points, "descriptors": descriptors, "scores": np.arange(60.0)}},
        **{
            "tower__tower-1": {
                "keypoints": there[shuffled],
                "descriptors": descriptors[:, shuffled],
                "image_size": (480, 360),
            }
        },
    )
    done = c.import_features(right)
    assert (done.matches, done.replaced, done.refused) == (1, 1, {})
    found = c.match(one, two)
    assert found.inliers > 40 and c.import_features(right).matches == 0  # type: ignore[union-attr]
    c.reject(one, two)
    assert c.import_features(right).refused == {"a person rejected it": 1}


HOSTILE = {
    "nan": {"keypoints": np.full((3, 2), np.nan), "descriptors": np.zeros((8, 3))},
    "wide": {"keypoints": np.zeros((3, 5)), "descriptors": np.zeros((8, 3))},
    "turned": {"keypoints": np.zeros((3, 2)), "descriptors": np.zeros((3, 8))},
    "none": {"keypoints": np.zeros((3, 2))},
    "text": {"keypoints": np.array([[b"a", b"b"]]), "descriptors": np.zeros((8, 1))},
    "flat": {"keypoints": np.zeros(6), "descriptors": np.zeros((8, 3))},
    "short": {"keypoints": np.zeros((3, 2)), "descriptors": np.zeros((8, 3)), "scores": np.zeros(2)},
    "long": {"keypoints": np.zeros((3, 2)), "descriptors": np.zeros((2000, 3))},
}


@pytest.mark.parametrize("kind", [*HOSTILE, "links", "elsewhere", "virtual", "no file of its", "empty"])
def test_files_that_are_wrong_or_lead_elsewhere_are_refused(
    c: lmr.Collection, home: Path, tmp_path: Path, kind: str
) -> None:
    good = {"keypoints": scattered(1)[0], "descriptors": scattered(1)[1]}
    file = put(tmp_path / "f.h5", **{"gate__gate-1": HOSTILE.get(kind, good), "tower__tower-1": good})
    put(tmp_path / "secret.h5", secret={"keypoints": good["keypoints"], "descriptors": good["descriptors"]})
    if kind == "no file of its":
        file.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(500))
    elif kind == "empty":
        file = put(tmp_path / "e.h5")
    elif kind not in HOSTILE:
        with h5py.File(file, "a") as opened:
            group = opened["gate/gate-1.jpg"]
            del group["descriptors"]
            if kind == "links":
                group["descriptors"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/secret.jpg/descriptors")
            elif kind == "elsewhere":
                group.create_dataset("descriptors", (32, 60), "f4", external=[("/etc/passwd", 0, 32 * 60 * 4)])
            else:
                layout = h5py.VirtualLayout((32, 60), "f4")
                layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "secret.jpg/descriptors", (32, 60), "f4")
                group.create_virtual_dataset("descriptors", layout)
    version = c.version
    done = Cli(home / "lmr").run("import", "features", file)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert c.version == version


def test_what_hloc_has_matched_is_verified_and_taken(c: lmr.Collection, home: Path, running, tmp_path: Path) -> None:
    """Last but one, as it makes another collection on the servers."""
    c.export_hloc(tmp_path / "out")
    first = [(image.id, image.paths[0]) for image in c.images()]
    with on_servers(running), lmr.open(tmp_path / "lmr", workers=1) as other:
        other.ingest(home / "photos")
        assert [(image.id, image.paths[0]) for image in other.images()] == first
        done = other.import_features(tmp_path / "out" / "features.h5", tmp_path / "out" / "matches.h5")
        assert (
            done.matches >= 2
            and other.import_features(tmp_path / "out" / "features.h5", tmp_path / "out" / "matches.h5").known
            == done.matches
        )
        pair = [other.image(home / "photos" / "gate" / f"gate-{k}.jpg").id for k in (1, 2)]
        assert other.match(*pair).inliers > 20  # type: ignore[union-attr]
        with h5py.File(tmp_path / "out" / "matches.h5", "a") as file:
            rows = file["gate-gate-1.jpg/gate-gate-2.jpg/matches0"]
            rows[0] = 10**6
        with pytest.raises(lmr.UsageError, match="does not fit"):
            other.import_features(tmp_path / "out" / "features.h5", tmp_path / "out" / "matches.h5")
        with pytest.raises(lmr.UsageError, match="no matches of photos"):
            other.import_features(tmp_path / "out" / "features.h5", tmp_path / "out" / "features.h5")


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
