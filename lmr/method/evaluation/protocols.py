"""The field's protocols: which images are right for which query, which are junk, and how a ranking is scored.

revisited      Oxford and Paris with Easy, Medium and Hard (Radenovic et al., 2018); aliases roxford5k, rparis6k
gld-retrieval  Google Landmarks retrieval: mAP@100 (Weyand et al., 2020)
gld-recognition  Google Landmarks recognition: GAP over predictions with a confidence
labels         a CSV file with image, landmark, split
folders        a folder of photos, the folders in it naming landmarks; every photo is a query
ilias          ILIAS' lists of images, or its folder of them: mAP@1000 (Kordopatis-Zilos et al., 2025)
holidays       file names: 1234 01.jpg is of group 1234, and 00 its query (Jegou et al., 2008)
"""

from __future__ import annotations

import json
import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lmr.errors import UsageError
from lmr.method.evaluation import ilias
from lmr.method.evaluation.metrics import (
    average_precision,
    average_precision_trapezoid,
    precision_at,
    precision_at_revisited,
)
from lmr.restricted import load_plain_pickle
from lmr.tables import read_table

LIMIT = 100
Ranking = Mapping[str, Sequence[str]]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Query:
    """What is right for one query: names of images; `junk` neither helps nor hurts; `box` the part that is asked for.

    group: queries of one group (a landmark) succeed and fail together; box: x1, y1, x2, y2 in px.
    """

    name: str
    group: str
    positives: frozenset[str]
    junk: frozenset[str] = frozenset()
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """The queries of each level; levels are alternatives (easy, hard) over the same photos.

    images: names of all that may be listed, where that is known; order: names of images and queries as numbers in a
    ranking array mean them; trapezoid, revisited: which variants of average precision and precision at k count; depth:
    how many rows of a ranking count for mAP, if not all.
    """

    protocol: str
    levels: dict[str, list[Query]]
    images: frozenset[str] | None = None
    trapezoid: bool = False
    revisited: bool = False
    order: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    depth: int | None = None

    def score(self, query: Query, ranked: Sequence[str]) -> dict[str, float]:
        """Figures of one ranking: names, best first, of which doubles and junk are skipped."""
        rows = [name for name in dict.fromkeys(ranked) if name not in query.junk and name != query.name]
        relevant = [name in query.positives for name in rows]
        positives = len(query.positives)
        precision = precision_at_revisited if self.revisited else precision_at
        if self.trapezoid:
            whole = average_precision_trapezoid(relevant, positives)
        else:
            whole = average_precision(relevant, positives, self.depth)
        return {
            "map": whole,
            "map_at_100": average_precision(relevant, positives, LIMIT),
            **{f"p_at_{k}": precision(relevant, k) for k in (1, 5, 10)},
        }


def protocol_names() -> list[str]:
    """Every name that `ground_truth` takes."""
    return sorted(_READERS)


def ground_truth(protocol: str, path: Path) -> GroundTruth:
    """Read the ground truth of a protocol. Raises UsageError where it is not one."""
    if protocol not in _READERS:
        raise UsageError(f"{protocol!r} is not a protocol; there are {', '.join(protocol_names())}")
    if not path.exists():
        raise UsageError(f"{path} does not exist")
    found = _READERS[protocol](path)
    levels = {
        level: [query for query in queries if query.positives] for level, queries in found.levels.items()
    }  # a query without positives at a level is left out there, as in the original programs
    if not any(levels.values()):
        raise UsageError(f"{path} has no query with a positive; is it the ground truth of {protocol}?")
    return replace(found, protocol=protocol, levels=levels)


def stem(name: str) -> str:
    """A photo's name without folders and suffix: ground truths and rankings spell names in different ways."""
    base = name.replace("\\", "/").rsplit("/", 1)[-1]
    return re.sub(r"\.(jpe?g|png|webp|tiff?|bmp|gif)$", "", base, flags=re.IGNORECASE)


# ---------------------------------------------------------------- readers


def _revisited(path: Path) -> GroundTruth:
    data = path.read_bytes()
    found = _json(data, path) if data[:1] == b"{" else load_plain_pickle(data, path)
    try:
        names = [stem(str(name)) for name in found["imlist"]]
        queries = [stem(str(name)) for name in found["qimlist"]]
        rows = [
            (
                tuple(frozenset(names[int(k)] for k in entry[kind]) for kind in ("easy", "hard", "junk")),
                tuple(float(x) for x in entry["bbx"]) if "bbx" in entry else None,
            )
            for entry in found["gnd"]
        ]
        pairs = list(zip(queries, rows, strict=True))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UsageError(f"{path} is not a ground truth of Revisited Oxford or Paris ({error!r})") from error
    levels: dict[str, list[Query]] = {"easy": [], "medium": [], "hard": []}
    for name, ((easy, hard, junk), box) in pairs:
        group = re.sub(r"_\d+$", "", name)
        corners: Any = box if box is not None and len(box) == 4 else None
        levels["easy"].append(Query(name, group, easy, junk | hard, corners))
        levels["medium"].append(Query(name, group, easy | hard, junk, corners))
        levels["hard"].append(Query(name, group, hard, junk | easy, corners))
    order = tuple(names), tuple(queries)
    return GroundTruth("revisited", levels, frozenset(names), trapezoid=True, revisited=True, order=order)


def _gld_retrieval(path: Path) -> GroundTruth:
    """Columns id, images (names with spaces between), and perhaps Usage: Public, Private or Ignored."""
    levels: dict[str, list[Query]] = {}
    for row in _table(path, "id", "images"):
        usage = (row["usage"] or "all").lower()
        if usage != "ignored":
            wanted = frozenset(map(stem, row["images"].split()))
            levels.setdefault(usage, []).append(Query(stem(row["id"]), stem(row["id"]), wanted))
    return GroundTruth("gld-retrieval", levels)


def _labels(path: Path) -> GroundTruth:
    """Columns image, landmark, and perhaps split; without one every photo is a query and an index photo."""
    given: dict[str, tuple[str, str]] = {}
    for row in _table(path, "image", "landmark"):
        label = row["landmark"], row["split"].lower()
        if given.setdefault(_plain(row["image"]), label) != label:
            raise UsageError(f"{path}: {row['image']} has two labels, {given[_plain(row['image'])]} and {label}")
    names = _apart(list(given))
    return _by_label("labels", [(names[name], *label) for name, label in given.items()])


def _folders(path: Path) -> GroundTruth:
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.parent != path)
    plain = [_plain(str(file.relative_to(path))) for file in files]
    names = _apart(plain)
    return _by_label("folders", [(names[name], file.parent.name, "") for name, file in zip(plain, files, strict=True)])


def _plain(name: str) -> str:
    """A name without suffix, with its folders."""
    folder = name.replace("\\", "/").rpartition("/")[0]
    return posixpath.normpath(posixpath.join(folder, stem(name)))


def _apart(plain: Sequence[str]) -> dict[str, str]:
    """Each name without its folders, where no other is the same then."""
    counts = Counter(stem(name) for name in set(plain))
    return {name: stem(name) if counts[stem(name)] == 1 else name for name in plain}


def _by_label(protocol: str, rows: Sequence[tuple[str, str, str]]) -> GroundTruth:
    shown: dict[str, set[str]] = {}
    for name, landmark, split in rows:
        if landmark and split != "query":
            shown.setdefault(landmark, set()).add(name)
    queries = [
        Query(name, landmark, frozenset(shown.get(landmark, set()) - {name}))
        for name, landmark, split in rows
        if landmark and split != "index"
    ]
    return GroundTruth(protocol, {"all": queries}, frozenset(name for name, _, split in rows if split != "query"))


def _ilias(path: Path) -> GroundTruth:
    """Every positive of the query's object is right, and nothing else; what else is ranked is not asked."""
    queries, positives = ilias.names_of(path)
    plain = _apart([_plain(name) for name in (*queries, *positives)])
    right: dict[str, set[str]] = {}
    for name in positives:
        right.setdefault(ilias.instance_of(name), set()).add(plain[_plain(name)])
    asked = [(plain[_plain(name)], ilias.instance_of(name)) for name in queries]
    found = [Query(name, instance, frozenset(right.get(instance, ()))) for name, instance in asked]
    return GroundTruth("ilias", {"all": found}, depth=ilias.DEPTH)


def _holidays(path: Path) -> GroundTruth:
    """Names from a folder, or from a file with one on each line."""
    listed: Iterator[str] = (
        (file.name for file in path.rglob("*") if file.is_file()) if path.is_dir() else iter(_text(path).split())
    )
    names = sorted({stem(name) for name in listed if re.fullmatch(r"\d{5,}", stem(name))})
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name[:-2], []).append(name)
    queries = [
        Query(name, group, frozenset(members) - {name})
        for group, members in groups.items()
        for name in members
        if name.endswith("00")
    ]
    return GroundTruth("holidays", {"all": queries}, frozenset(names), trapezoid=True)


_READERS: dict[str, Callable[[Path], GroundTruth]] = {
    "revisited": _revisited,
    "roxford5k": _revisited,
    "rparis6k": _revisited,
    "gld-retrieval": _gld_retrieval,
    "labels": _labels,
    "folders": _folders,
    "ilias": _ilias,
    "holidays": _holidays,
}


def recognition_truth(path: Path) -> dict[str, dict[str, frozenset[str]]]:
    """Google Landmarks recognition, columns id, landmarks (none for a photo of something else), perhaps Usage.

    -> usage -> query -> its labels.
    """
    found: dict[str, dict[str, frozenset[str]]] = {}
    for row in _table(path, "id", "landmarks"):
        usage = (row["usage"] or "all").lower()
        if usage != "ignored":
            found.setdefault(usage, {})[stem(row["id"])] = frozenset((row["landmarks"] or "").split())
    if not found:
        raise UsageError(f"{path} has no query")
    return found


def recognition_predictions(path: Path) -> dict[str, tuple[str, float]]:
    """Columns id, landmarks: a label and a confidence with a space between, or nothing."""
    found = {}
    for row in _table(path, "id", "landmarks"):
        words = (row["landmarks"] or "").split()
        if not words:
            continue
        try:
            found[stem(row["id"])] = (words[0], float(words[1]))
        except (IndexError, ValueError) as error:
            raise UsageError(f"{path}: {row['landmarks']!r} is not a label and a confidence") from error
    return found


def _table(path: Path, *columns: str) -> list[dict[str, str]]:
    """Rows with these columns and, perhaps, usage and split; empty cells where the file lacks these."""
    every: dict[str, tuple[str, ...]] = dict.fromkeys((*columns, "usage", "split"), ())
    rows = [dict(zip(every, map(str.strip, row.cells), strict=True)) for row in read_table(path, every, columns)]
    if not rows:
        raise UsageError(f"{path} has no row below the columns {', '.join(columns)}")
    return rows


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise UsageError(f"{path} is not a text file in UTF-8 ({error})") from error


def _json(data: bytes, path: Path) -> Any:
    try:
        return json.loads(data)
    except ValueError as error:
        raise UsageError(f"{path} is not valid JSON: {error}") from error
