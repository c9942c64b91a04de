"""Protocols: the original programs' figures to 1e-9, and files of every form, hostile ones too."""

from __future__ import annotations

import json
import os
import pickle
import zlib
from pathlib import Path

import numpy as np
import pytest

from lmr.errors import UsageError
from lmr.method.evaluation.protocols import GroundTruth, Query, ground_truth, recognition_predictions, recognition_truth
from lmr.method.evaluation.rankings import write_rankings, write_submission
from lmr.method.evaluation.read import read_rankings
from lmr.method.evaluation.scoring import score_predictions, score_ranking
from lmr.restricted import load_plain_pickle


@pytest.mark.parametrize("name", ["roxford5k", "rparis6k"])
def test_the_figures_of_the_original_program(shared: Path, tmp_path: Path, name: str) -> None:
    expected = json.loads((shared / "parity" / "revisitop_expected.json").read_text())
    truth_file = shared / "revisitop" / f"gnd_{name}.pkl"
    truth = ground_truth(name, truth_file)
    images, queries = truth.order
    gnd = pickle.loads(truth_file.read_bytes())["gnd"]  # noqa: S301  the shared file itself
    for kind, (a, b, c) in expected["levels_abc"].items():
        ranks = []
        for i in range(len(queries)):
            rng = np.random.Generator(
                np.random.PCG64(zlib.crc32(f"revisitop.{name}.{kind}.{i}{expected['suffix']}".encode()))
            )
            score = rng.standard_normal(len(images))
            for part, add in (("easy", a), ("hard", b), ("junk", c)):
                score[gnd[i][part]] += add
            ranks.append(np.argsort(-score, kind="stable"))
        np.save(tmp_path / "ranks.npy", np.array(ranks).T)
        assert ranks[0][:5].tolist() == expected[name][kind]["first5_of_query0"]
        scored = score_ranking(name, truth_file, tmp_path / "ranks.npy")
        for level, letter in zip(scored.levels, "EMH", strict=True):
            wanted = expected[name][kind][letter]
            assert level.map == pytest.approx(wanted["mAP"], abs=1e-9)
            found = (level.p_at_1, level.p_at_5, level.p_at_10)
            assert found == pytest.approx(wanted["mP@1,5,10"], abs=1e-9)
            aps = [level.of_query[query]["map"] if query in level.of_query else None for query in queries]
            assert aps == [pytest.approx(ap, abs=1e-9) if ap is not None else None for ap in wanted["APs"]]


def test_a_pickle_that_asks_for_anything_is_not_executed(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    file = tmp_path / "gnd.pkl"
    file.write_bytes(pickle.dumps({"gnd": Evil(), "imlist": [], "qimlist": []}))
    with pytest.raises(UsageError, match="nothing of it was executed"):
        ground_truth("roxford5k", file)
    assert not (tmp_path / "owned").exists()
    for data in (b"", b"\x80\x04.", b"no pickle", pickle.dumps([1])[:-3]):
        file.write_bytes(data)
        with pytest.raises(UsageError):
            ground_truth("roxford5k", file)
    array = {"x": np.arange(3), "y": np.float32(2)}
    for protocol in range(2, 6):
        found = load_plain_pickle(pickle.dumps(array, protocol), file)
        assert found["x"].tolist() == [0, 1, 2]
        assert found["y"] == 2


def test_junk_and_doubles_are_skipped_and_the_query_is_not_its_own_result() -> None:
    truth = GroundTruth("labels", {})
    query = Query("q", "g", frozenset({"a", "b"}), frozenset({"j"}))
    scored = truth.score(query, ["q", "j", "a", "a", "x", "b"])
    assert scored["map"] == pytest.approx((1 + 2 / 3) / 2)
    assert scored["p_at_1"] == 1


def test_labels_folders_holidays(tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("image,landmark,split\na.jpg,x,query\nb.jpg,x,index\nc.jpg,,index\nd.jpg,y,query\n")
    truth = ground_truth("labels", labels)
    assert [(q.name, q.positives) for q in truth.levels["all"]] == [("a", {"b"})]
    assert truth.images == {"b", "c"}
    for name in ("x/1.jpg", "x/2.JPG", "y/3.png", "top.jpg"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).touch()
    truth = ground_truth("folders", tmp_path / "photos")
    assert {(q.name, q.group, q.positives) for q in truth.levels["all"]} == {
        ("1", "x", frozenset("2")),
        ("2", "x", frozenset("1")),
    }
    names = tmp_path / "names.txt"
    names.write_text("100000.jpg 100001.jpg 100002.jpg 100100.jpg 100101.jpg readme.txt")
    truth = ground_truth("holidays", names)
    assert [(q.name, sorted(q.positives)) for q in truth.levels["all"]] == [
        ("100000", ["100001", "100002"]),
        ("100100", ["100101"]),
    ]
    ranking = tmp_path / "ranking.json"
    ranking.write_text(
        json.dumps({"100000.jpg": ["100000.jpg", "100100.jpg", "100001.jpg", "100002.jpg"], "100100": ["100101"]})
    )
    scored = score_ranking("holidays", names, ranking).levels[0]
    # the query itself is skipped; found at places 2 and 3
    assert scored.of_query["100000"]["map"] == pytest.approx(((0 + 1 / 2) / 2 + (1 / 2 + 2 / 3) / 2) / 2)


def test_google_landmarks_retrieval_and_recognition(tmp_path: Path) -> None:
    truth, ranking = tmp_path / "truth.csv", tmp_path / "ranking.csv"
    truth.write_text("id,images,Usage\nq1,a b,Public\nq2,c,Private\nq3,None,Ignored\n")
    ranking.write_text("id,images\nq1,a x b\nq2,\n")
    levels = {level.level: level for level in score_ranking("gld-retrieval", truth, ranking).levels}
    assert levels["public"].map_at_100 == pytest.approx((1 + 2 / 3) / 2)
    assert levels["private"].map_at_100 == 0
    truth.write_text("id,landmarks,Usage\nq1,7,Public\nq2,,Public\nq3,8 9,Private\n")
    ranking.write_text("id,landmarks\nq1,7 0.5\nq2,7 0.9\nq3,9 0.1\n")
    assert set(recognition_truth(truth)) == {"public", "private"}
    assert score_predictions(truth, recognition_predictions(ranking)) == {"public": pytest.approx(0.5), "private": 1}
    ranking.write_text("id,landmarks\nq1,seven\n")
    with pytest.raises(UsageError, match="label and a confidence"):
        score_predictions(truth, recognition_predictions(ranking))


def test_rankings_written_are_read_again(tmp_path: Path) -> None:
    rows = [("q 1", [("a,b", "verified"), ('c"d', "similarity")]), ("q2", [])]
    assert write_rankings(tmp_path / "r.csv", rows) == 2
    assert read_rankings(tmp_path / "r.csv") == {"q 1": ["a,b", 'c"d']}
    assert write_rankings(tmp_path / "r.json", rows) == 2
    assert read_rankings(tmp_path / "r.json") == {"q 1": ["a,b", 'c"d'], "q2": []}
    assert write_submission(tmp_path / "s.csv", [("q", [f"i{k}" for k in range(150)])]) == 1
    line = (tmp_path / "s.csv").read_text().splitlines()
    assert line[0] == "id,images"
    assert line[1] == "q," + " ".join(f"i{k}" for k in range(100))
    with pytest.raises(UsageError, match="cannot hold the name"):
        write_submission(tmp_path / "s.csv", [("q", ["two words"])])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("r.csv", b"a,b\n1,2\n"),
        ("r.csv", b"query,rank,image\nq,first,a\n"),
        ("r.csv", b"\xff\xfe\x00"),
        ("r.json", b"[1, 2]"),
        ("r.json", b"{"),
        ("r.npy", b"no array"),
    ],
)
def test_files_that_are_no_rankings(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError):
        read_rankings(tmp_path / name)


def test_arrays_are_checked_and_never_unpickled(tmp_path: Path) -> None:
    file = tmp_path / "r.npy"
    np.save(file, np.array([[{}]], object), allow_pickle=True)
    with pytest.raises(UsageError, match="plain array"):
        read_rankings(file, ["a"], ["q"])
    np.save(file, np.array([[0], [5]]))
    with pytest.raises(UsageError, match="from 0 to 5"):
        read_rankings(file, ["a", "b"], ["q"])
    np.save(file, np.array([[1], [0]]))
    assert read_rankings(file, ["a", "b"], ["q"]) == {"q": ["b", "a"]}


def test_forms_of_others_are_known_by_what_is_in_them(tmp_path: Path) -> None:
    images, queries = ["a", "b", "c"], ["q", "r"]
    wanted = {"q": ["c", "a", "b"], "r": ["a", "b", "c"]}
    ranks = np.array([[2, 0], [0, 1], [1, 2]])
    for name, save in (
        ("ranks.txt", lambda path: np.savetxt(path, ranks)),
        ("ranks.dat", lambda path: np.savetxt(path, ranks, fmt="%d", delimiter=",")),
        ("ranks.npy", lambda path: np.save(path, ranks.astype(np.uint16))),
    ):
        save(tmp_path / name)
        assert read_rankings(tmp_path / name, images, queries) == wanted, name
    (tmp_path / "s.out").write_text(json.dumps({"q.jpg": {"x/b.jpg": 0.1, "a.jpg": 0.5, "c": 7}, "r": {}}))
    assert read_rankings(tmp_path / "s.out") == {"q": ["c", "a", "b"], "r": []}
    (tmp_path / "preds").mkdir()
    text = (
        "Query path:\n/data/q.jpg\n\nPredictions paths:\n/data/c c.jpg\n/data/a.jpg\n\nPositives paths:\n/data/a.jpg\n"
    )
    (tmp_path / "preds" / "000.txt").write_text(text)
    (tmp_path / "preds" / "000.jpg").write_bytes(b"a picture that is passed over")
    assert read_rankings(tmp_path / "preds") == {"q": ["c c", "a"]} == read_rankings(tmp_path / "preds" / "000.txt")
    (tmp_path / "preds" / "001.txt").write_text(text.replace("/data/q", "/other/q"))
    with pytest.raises(UsageError, match="have one name"):
        read_rankings(tmp_path / "preds")
    known = {"data/q", "other/q", "a"}
    assert read_rankings(tmp_path / "preds", known=known) == {"data/q": ["c c", "a"], "other/q": ["c c", "a"]}


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps({"q": ["a"]}), b"PK\x03\x04", b"1 2\n3\n", b"0.5 1\n", b"1 nan\n", b"9 9\n", b"\n", b"",
        b"Query path:\n", b"Query path:\na\nb\nPredictions paths:\n", b'{"q": 1}', b'{"q": {"a": "much"}}', b"[" * 100_000,
        b'{"q": {"a": null}}', b"\x93NUMPY", b"\x93NUMPY\x01\x00\x46\x00{'descr': '<i8', 'fortran_order': False, 'shape': (99999999999, 2), }\n",
    ],
)  # fmt: skip
def test_what_is_no_ranking_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "r").write_bytes(content)
    with pytest.raises(UsageError):
        read_rankings(tmp_path / "r", ["a"], ["q", "r"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="0 text files"):
        read_rankings(tmp_path / "empty")


def ilias(folder: Path, instances: dict[str, tuple[int, int]]) -> Path:
    """Lists as ILIAS has them: of some objects so many queries and positives, with figures that are not read."""
    (folder / "image_ids").mkdir(parents=True)
    lines: dict[str, list[str]] = {"query": [], "pos": []}
    for number, (name, counts) in enumerate(instances.items()):
        for (kind, listed), letter, count in zip(lines.items(), "QP", counts, strict=True):
            listed += [f"{name}/{kind}/{letter}{number:03}_{k:02}.jpg,0.25,17" for k in range(count)]
    (folder / "image_ids" / "image_query_ids.txt").write_text("\n".join(lines["query"]) + "\n")
    (folder / "image_ids" / "positive_ids.txt").write_text("\n".join(lines["pos"]))
    return folder


def ap_at(names: list[str], right: set[str], k: int) -> float:
    """ILIAS' AP@k, written down plainly: the precision at each positive among the first k, over all that can be there."""
    found = [rank for rank, name in enumerate(names[:k], 1) if name in right]
    return sum(n / rank for n, rank in enumerate(found, 1)) / min(k, len(right))


def test_ilias_counts_the_first_thousand(tmp_path: Path) -> None:
    folder = ilias(tmp_path / "ilias", {"bold_bimp_000": (1, 9), "fuzzy_fim_001": (2, 1200), "plain_plop_002": (1, 0)})
    truth = ground_truth("ilias", folder)
    assert truth.protocol == "ilias" and list(truth.levels) == ["all"] and truth.images is None
    assert [(q.name, q.group, len(q.positives)) for q in truth.levels["all"]] == [
        ("Q000_00", "bold_bimp_000", 9),
        ("Q001_00", "fuzzy_fim_001", 1200),
        ("Q001_01", "fuzzy_fim_001", 1200),
    ]
    assert ground_truth("ilias", folder / "image_ids").levels == truth.levels
    rng, ranking, wanted = np.random.default_rng(0), {}, {}
    for query in truth.levels["all"][:2]:
        positives = {f"{query.group}/pos/{name}.jpg" for name in query.positives}
        names = [*sorted(positives), *(f"{k:05}/{k:x}.jpg" for k in range(2000))]
        names = [names[k] for k in rng.permutation(len(names))]
        scores = {name: 1 / (rank + 1) for rank, name in enumerate(names)}
        ranking[f"{query.group}/query/{query.name}.jpg"] = dict(sorted(scores.items()))
        wanted[query.name] = ap_at(names, positives, 1000)
    (tmp_path / "similarities.json").write_text(json.dumps(ranking))
    (level,) = score_ranking("ilias", folder, tmp_path / "similarities.json").levels
    assert (level.queries, level.unranked) == (3, 1)
    assert {name: level.of_query[name]["map"] for name in wanted} == pytest.approx(wanted, abs=1e-12)
    assert level.map == pytest.approx(sum(wanted.values()) / 3)


def test_ilias_of_its_folders(tmp_path: Path) -> None:
    for name in ("a_000/query/Q000_00", "a_000/pos/P000_00", "a_000/pos/P000_01", "b_001/query/Q001_00"):
        (tmp_path / "core" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "core" / f"{name}.jpg").write_bytes(b"")
    (query,) = ground_truth("ilias", tmp_path / "core").levels["all"]
    assert (query.name, query.group, query.positives) == ("Q000_00", "a_000", {"P000_00", "P000_01"})
    (tmp_path / "bad" / "image_ids").mkdir(parents=True)
    for text, told in (("nothing\n", "no name such as"), ("\xff", "not a text"), ("/x\n", "no name such as")):
        for name in ("image_query_ids.txt", "positive_ids.txt"):
            (tmp_path / "bad" / "image_ids" / name).write_bytes(text.encode("latin-1"))
        with pytest.raises(UsageError, match=told):
            ground_truth("ilias", tmp_path / "bad")
    with pytest.raises(UsageError, match=r"neither image_query_ids\.txt"):
        ground_truth("ilias", tmp_path)
