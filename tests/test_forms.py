"""Rankings and descriptors in the forms of the field's own programs, written and read again."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import lmr
from lmr.retrieval import rankings, similar
from lmr.store.refined import described
from tests.conftest import Cli, on_servers
from tests.places import make_place
from tests.test_sharing import below

ASKED = ("gate", "tower", "bridge")


@pytest.fixture(scope="module")
def research(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos whose names are the same in each folder, as in ILIAS, and what is right for each query."""
    folder = tmp_path_factory.mktemp("research")
    rows = ["image,landmark,split"]
    for place in (*ASKED, "well", "mill", "barn"):
        (folder / "photos" / place).mkdir(parents=True)
        second = ("Q0", "query") if place in ASKED else ("P1", "index")
        for path, (name, split) in zip(make_place(folder / "made", place), (("P0", "index"), second), strict=True):
            shutil.move(path, folder / "photos" / place / f"{name}.jpg")
            rows.append(f"{place}/{name}.jpg,{place},{split}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def queries(research: Path, running):
    with on_servers(running), lmr.open(research / "lmr", workers=1) as collection:
        collection.ingest(research / "photos", labels=research / "labels.csv")
        collection.link()
        yield collection


@pytest.mark.parametrize(
    ("form", "name"),
    [("plain", "r.csv"), ("plain", "r.json"), ("revisitop", "r.npy"), ("ilias", "r.json"), ("vpr", "preds")],
)
def test_every_form_of_a_ranking_is_read_again(
    queries: lmr.Collection, research: Path, tmp_path: Path, form: str, name: str
) -> None:
    cli = Cli(research / "lmr")
    told = cli.json("export", "ranking", tmp_path / name, "--form", form)
    assert told == {"file": str(tmp_path / name), "queries": 3}
    cli("export", "ranking", tmp_path / name, "--form", form)  # again, over its own
    options = ("--protocol", "labels", "--ground-truth", research / "labels.csv")
    scored = cli.json("evaluate", "--ranking", tmp_path / name, *options)
    (level,) = scored["levels"]  # type: ignore[index]
    assert (level["queries"], level["unranked"], level["map"], level["p_at_1"]) == (3, 0, 1.0, 1.0)
    assert set(level["of_query"]) == {"gate/Q0", "tower/Q0", "bridge/Q0"}


def test_the_forms_are_those_that_are_published(queries: lmr.Collection, research: Path, tmp_path: Path) -> None:
    queries.export_ranking(tmp_path / "r.npy", form="revisitop")
    ranks = np.load(tmp_path / "r.npy", allow_pickle=False)
    images = (tmp_path / "r.images.txt").read_text().splitlines()
    asked = (tmp_path / "r.queries.txt").read_text().splitlines()
    assert ranks.shape == (9, 3) and ranks.dtype == np.int64 and sorted(ranks[:, 0]) == list(range(9))
    assert images == sorted(images) and [images[k].split("/")[0] for k in ranks[0]] == [
        one.split("/")[0] for one in asked
    ]
    truth = {
        "imlist": ["tower/P0", "bridge/P0", "other", "gate/P0"],
        "qimlist": ["gate/Q0", "bridge/Q0"],
        "gnd": [{"easy": [3], "hard": [], "junk": []}, {"easy": [1], "hard": [], "junk": []}],
    }
    for name in ("gate", "tower", "bridge"):
        for photo in ("P0", "Q0"):  # an official ground truth names photos without folders
            truth = json.loads(json.dumps(truth).replace(f"{name}/{photo}", f"{name}-{photo}"))
    (tmp_path / "gnd.json").write_text(json.dumps(truth))
    with pytest.raises(lmr.UsageError, match="2 queries of the ground truth are not stored, such as gate-Q0"):
        queries.export_ranking(tmp_path / "o.npy", form="revisitop", ground_truth=tmp_path / "gnd.json")

    queries.export_ranking(tmp_path / "r.json", form="ilias", top=2)
    found = json.loads((tmp_path / "r.json").read_text())
    assert next(iter(found["gate/Q0.jpg"].items())) == ("gate/P0.jpg", 1.0) and len(found["gate/Q0.jpg"]) == 2

    queries.export_ranking(tmp_path / "preds", form="vpr", top=1)
    assert below(tmp_path / "preds") == {"000.txt", "001.txt", "002.txt"}
    texts = {(tmp_path / "preds" / name).read_text() for name in below(tmp_path / "preds")}
    photos = (research / "photos").resolve()
    one = f"Query path:\n{photos}/gate/Q0.jpg\n\nPredictions paths:\n{photos}/gate/P0.jpg\n"
    assert one in texts


def test_rankings_that_cannot_be_written_are_told(queries: lmr.Collection, research: Path, tmp_path: Path) -> None:
    cli = Cli(research / "lmr")
    (tmp_path / "r.images.txt").write_text("mine")
    (tmp_path / "preds").mkdir()
    (tmp_path / "preds" / "000.txt").write_text("mine")
    for words in (
        ("r.npy", "--form", "revisitop"),  # its names would go over mine
        ("preds", "--form", "vpr"),
        ("r.csv", "--form", "revisitop"),
        ("r.csv", "--form", "other"),
        ("r.json", "--form", "ilias", "--ground-truth", research / "labels.csv"),
        ("r.npy", "--form", "revisitop", "--ground-truth", tmp_path / "nothing.pkl"),
    ):
        done = cli.run("export", "ranking", tmp_path / words[0], *words[1:])
        assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert (tmp_path / "r.images.txt").read_text() == "mine" == (tmp_path / "preds" / "000.txt").read_text()
    assert set(os.listdir(tmp_path)) - {".lmr-outputs.json"} == {"r.images.txt", "preds"}


def test_descriptors_are_those_that_are_searched_with(queries: lmr.Collection, research: Path, tmp_path: Path) -> None:
    cli = Cli(research / "lmr")
    told = cli.json("export", "descriptors", tmp_path / "raw.npy")
    queries.export_descriptors(tmp_path / "refined.npy", refined=True)
    raw, refined = (np.load(tmp_path / f"{name}.npy", allow_pickle=False) for name in ("raw", "refined"))
    assert raw.dtype == np.float32 and told == {"file": str(tmp_path / "raw.npy"), "rows": 12, "length": raw.shape[1]}
    assert np.allclose(np.linalg.norm(raw, axis=1), 1, atol=1e-5) and not np.allclose(raw, refined)
    rows = list(csv.DictReader((tmp_path / "raw.csv").open()))
    assert [row["id"] for row in rows] == [image.id for image in queries.images()]
    assert {row["image"] for row in rows} == {str(path.resolve()) for path in (research / "photos").rglob("*.jpg")}
    assert {(row["split"], row["landmark"]) for row in rows if "gate" in row["image"]} == {
        ("index", "gate"),
        ("query", "gate"),
    }
    ledger = queries._stores.ledger
    for row in rows:
        assert np.array_equal(ledger.descriptors.of(ledger.images.get(row["id"]).number), raw[int(row["row"])])
    (tmp_path / "mine.csv").write_text("mine")
    for name in ("mine.npy", "d.txt"):
        assert cli.run("export", "descriptors", tmp_path / name).returncode == 2
    assert (tmp_path / "mine.csv").read_text() == "mine" and not (tmp_path / "mine.npy").exists()


def test_descriptors_are_read_once_for_all_rankings(
    queries: lmr.Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []

    def counted(stores: object, *given: object, **named: object) -> object:
        read.append(stores)
        return described(stores, *given, **named)

    monkeypatch.setattr(rankings, "described", counted)
    monkeypatch.setattr(similar, "described", counted)
    for form, name in (("vpr", "preds"), ("plain", "r.csv"), ("ilias", "r.json"), ("revisitop", "r.npy")):
        read.clear()
        queries.export_ranking(tmp_path / name, form=form)
        assert len(read) == 1, form
        queries.export_ranking(tmp_path / name, form=form, top=2)
        assert len(read) == 1, form


def test_a_box_that_lies_outside_says_of_which_photo(queries: lmr.Collection, research: Path, tmp_path: Path) -> None:
    """As where the photos of a benchmark were made smaller."""
    asked, right = (next(one.id for one in queries.images() if one.split == split) for split in ("query", "index"))
    row = {"easy": [0], "hard": [], "junk": [], "bbx": [9000, 9000, 9900, 9900]}
    (tmp_path / "gnd.json").write_text(json.dumps({"imlist": [right], "qimlist": [asked], "gnd": [row]}))
    with pytest.raises(lmr.UsageError, match=rf"{asked}: .* outside the photo .* smaller copies"):
        queries.evaluate("roxford5k", tmp_path / "gnd.json", baselines=["descriptor"])
    for box, told in (([10, 10, 100, 9000], 1), ([10, 10, 100, 100], 0)):
        row["bbx"] = box
        (tmp_path / "gnd.json").write_text(json.dumps({"imlist": [right], "qimlist": [asked], "gnd": [row]}))
        words = ("--protocol", "roxford5k", "--ground-truth", tmp_path / "gnd.json", "--baseline", "descriptor")
        said = Cli(research / "lmr").run("evaluate", *words)
        assert said.returncode == 0 and said.stderr.count("boxes of 1 queries reach beyond") == told, said.stderr
