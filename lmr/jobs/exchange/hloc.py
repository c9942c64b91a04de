"""Features and matches in the HDF5 files of hloc (Hierarchical-Localization), with its list of pairs beside.

features.h5  a group a photo, by its name below the root: keypoints (N, 2) px, 0 in the middle of the first pixel;
             descriptors (D, N) of length 1; scales (N,) px; image_size (2,) width and height
matches.h5   a group a pair, both names with `-` for `/`: matches0 (N,) rows of the second photo's points, -1 for none;
             matching_scores0 (N,), 1 for what agrees on lmr's map, 0.5 for what else is matched
pairs.txt    two names a line
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from lmr.errors import UsageError
from lmr.execution.blocks import Pair
from lmr.jobs.exchange.colmap import ForReconstruction, accepted_pairs, lines_of, matched, named
from lmr.method.features.pack import unpack
from lmr.outputs import replacing
from lmr.store.stores import Stores
from lmr.text import printable
from lmr.values import Array, unit_rows

FEATURES, MATCHES, PAIRS = "features.h5", "matches.h5", "pairs.txt"
_ELSE = 0.5  # the score of a match that does not agree with the others


def export_hloc(
    stores: Stores, folder: Path, *, root: Path | None = None, of: Sequence[int] | None = None
) -> ForReconstruction:
    """Write features, matches and pairs of all matches that take part into a folder; see `write_colmap`.

    Raises UsageError where h5py is not installed, or a name cannot be written.
    """
    h5py = need_h5py()
    pairs = accepted_pairs(stores, of)
    names, done = named(stores, pairs, root)
    pairs = [(a, b) for a, b in pairs if a in names and b in names]
    lines, groups = lines_of(pairs, names), _groups(names)
    _written(h5py, folder / FEATURES, lambda file: _put_features(stores, file, names))
    _written(h5py, folder / MATCHES, lambda file: _put_matches(stores, file, pairs, groups))
    with replacing(folder / PAIRS) as part:
        part.write_text("".join(lines), encoding="utf-8")
    done.pairs = len(lines)
    return done


def need_h5py() -> ModuleType:
    """Raises UsageError where it is not installed."""
    try:
        import h5py
    except ImportError as error:
        raise UsageError("this needs h5py: pip install 'lmr[hloc]'") from error
    module: ModuleType = h5py
    return module


def _written(h5py: Any, path: Path, put: Callable[[Any], None]) -> None:
    with replacing(path) as part, h5py.File(part, "w") as file:
        put(file)


def _groups(names: dict[int, str]) -> dict[int, str]:
    """The names by which matches are kept. Raises UsageError where two photos would have one."""
    groups = {number: name.replace("/", "-") for number, name in names.items()}
    first: dict[str, int] = {}
    for number, group in groups.items():
        if first.setdefault(group, number) != number:
            both = " and ".join(printable(names[one]) for one in (first[group], number))
            raise UsageError(f"{both} have one name in hloc's file of matches: rename one of the files")
    return groups


def _put_features(stores: Stores, file: Any, names: dict[int, str]) -> None:
    with stores.progress.task("Features", len(names), "photos") as advance:
        for number, name in names.items():
            image, features = stores.ledger.images.numbered(number), unpack(stores.ledger.features.local(number))
            group = file.create_group(name)
            group["keypoints"] = features.keypoints
            group["keypoints"].attrs["uncertainty"] = features.unit
            group["scales"] = features.scales
            group["descriptors"] = unit_rows(features.descriptors.astype(np.float32)).T
            group["image_size"] = np.array((image.width, image.height))
            advance(1)


def _put_matches(stores: Stores, file: Any, pairs: Sequence[Pair], groups: dict[int, str]) -> None:
    ledger, counts = stores.ledger, dict[int, int]()
    for (a, b), (matches, inliers) in matched(stores, pairs):
        a, b, matches, inliers = _ordered(a, b, matches, inliers, groups)
        if a not in counts:
            counts[a] = len(unpack(ledger.features.local(a)))
        rows, scores = np.full(counts[a], -1, np.int32), np.zeros(counts[a], np.float16)
        rows[matches[:, 0]], scores[matches[:, 0]] = matches[:, 1], _ELSE
        scores[inliers[:, 0]] = 1.0
        group = file.create_group(f"{groups[a]}/{groups[b]}")
        group["matches0"], group["matching_scores0"] = rows, scores


def _ordered(a: int, b: int, matches: Array, inliers: Array, groups: dict[int, str]) -> tuple[int, int, Array, Array]:
    """A pair in the order in which the list of pairs has it."""
    if groups[a] <= groups[b]:
        return a, b, matches, inliers
    return b, a, matches[:, ::-1], inliers[:, ::-1]
