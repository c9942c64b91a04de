"""Names of a ground truth stand for stored photos as names do everywhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lmr.errors import UsageError
from lmr.method.evaluation.protocols import ground_truth
from lmr.progress import Silent
from lmr.retrieval.evaluate import _StoredTruth
from lmr.settings import Settings
from lmr.store.files import File
from lmr.store.ledger import Ledger
from lmr.store.stores import Stores


def cast(tmp_path: Path, stored: list[str], rows: str, encoding: str = "utf-8") -> tuple[_StoredTruth, dict[str, str]]:
    """Who is who between stored photos and a table, and the images' ids by the stored names; a repeated one is a copy."""
    with Ledger.create(tmp_path / "ledger.sqlite", id="x") as ledger:
        ids = {name: f"{k:064x}" for k, name in enumerate(stored)}
        with ledger.transaction():
            for name, id in ids.items():
                number = ledger.images.add(id, 1, 1, "index", b"", b"")
                ledger.files.put(File(os.fsencode(tmp_path / "photos" / name), name, 1, 1, number, None))
        truth = tmp_path / "truth.csv"
        truth.write_bytes(rows.encode(encoding))
        collection = Stores(Settings(home=tmp_path), ledger, Silent())
        return _StoredTruth(collection, ground_truth("labels", truth)), ids


def test_one_name_in_two_folders_is_two_photos(tmp_path: Path) -> None:
    names = ["2019/DSC_1.jpg", "2020/DSC_1.jpg", "a.jpg", "é.JPG", "other.jpg"]
    rows = "image;landmark;split\n2019\\DSC_1.jpg;x;query\n2020\\DSC_1.jpg;y;query\nA.jpg;x;index\né.jpg;y;index\n"
    found, ids = cast(tmp_path, names, rows, "utf-16")
    queries = {name: (levels["all"].group, levels["all"].positives) for name, levels in found.queries.items()}
    assert queries == {"2019/DSC_1": ("x", {"A"}), "2020/DSC_1": ("y", {"é"})}
    spelled = dict(zip(names, found.spelled([ids[name] for name in names]), strict=True))
    assert [spelled[name] for name in names] == ["2019/DSC_1", "2020/DSC_1", "A", "é", "other"]
    assert found.names([ids[name] for name in names]) == ["A", "é"] and found.missing == 0


def test_names_that_nobody_has_are_missing_and_ambiguous_ones_refused(tmp_path: Path) -> None:
    found, _ = cast(tmp_path, ["q.jpg", "a.jpg"], "image,landmark,split\nq.jpg,x,query\na,x,index\nnone.jpg,x,index\n")
    assert found.missing == 1 and list(found.queries) == ["q"]
    (tmp_path / "two").mkdir()
    with pytest.raises(UsageError, match=r"cannot tell photos apart: a stands for .*/1/a.jpg and .*/2/a.jpg"):
        cast(tmp_path / "two", ["1/a.jpg", "2/a.jpg", "q.jpg"], "image,landmark,split\nq.jpg,x,query\na.jpg,x,index\n")


def test_a_ground_truth_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,landmark\na.jpg,x\nb.jpg,x\n./a.jpg,y\n")
    with pytest.raises(UsageError, match=r"a\.jpg has two labels"):
        ground_truth("labels", tmp_path / "t.csv")


def test_folders_with_one_name_in_two_of_them(tmp_path: Path) -> None:
    for name in ("x/1.jpg", "x/2.jpg", "y/1.jpg", "y/3.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    queries = {query.name: query.positives for query in ground_truth("folders", tmp_path).levels["all"]}
    assert queries == {"x/1": {"2"}, "2": {"x/1"}, "y/1": {"3"}, "3": {"y/1"}}
