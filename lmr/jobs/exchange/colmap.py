"""Photos and matches for reconstruction in 3-D: lists of pairs as hloc and COLMAP read them, and COLMAP's database."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from lmr.errors import CollectionError, UsageError
from lmr.execution import results
from lmr.execution.blocks import Pair, blocks
from lmr.execution.verification import Block, block_of, point_matches
from lmr.jobs.exchange.upright import write_upright
from lmr.method.features.pack import unpack
from lmr.outputs import replacing
from lmr.store.refined import are
from lmr.store.stores import Stores
from lmr.text import printable
from lmr.values import Array

_FOCAL = 1.2  # of the longer side: what COLMAP takes where nothing is known
_CENTRE = 0.5  # COLMAP's middle of the first pixel; lmr's is 0


@dataclass(slots=True)
class ForReconstruction:
    """Photos and pairs that were written; root: the folder that names begin in; left_out: names, with the reason."""

    photos: int
    pairs: int
    root: Path
    left_out: dict[str, str] = field(default_factory=dict)


def write_pairs(
    stores: Stores, path: Path, *, root: Path | None = None, of: Sequence[int] | None = None
) -> ForReconstruction:
    """Write the pairs that take part, two names a line; see `write_colmap`."""
    pairs = accepted_pairs(stores, of)
    names, done = named(stores, pairs, root)
    lines = lines_of([(a, b) for a, b in pairs if a in names and b in names], names)
    with replacing(path) as part:
        part.write_text("".join(lines), encoding="utf-8")
    done.pairs = len(lines)
    return done


def lines_of(pairs: Sequence[Pair], names: Mapping[int, str]) -> list[str]:
    """A line with both names of each pair, in a fixed order. Raises UsageError for a name with blanks in it."""
    for name in names.values():
        if any(character.isspace() for character in name):
            raise UsageError(f"{printable(name)}: a list of pairs has no way to write a name with blanks in it")
    return [f"{a} {b}\n" for a, b in sorted(sorted((names[a], names[b])) for a, b in pairs)]


def write_colmap(
    stores: Stores,
    path: Path,
    *,
    root: Path | None = None,
    of: Sequence[int] | None = None,
    pairs: Sequence[Pair] | None = None,
    upright: Path | None = None,
) -> ForReconstruction:
    """Write a database of COLMAP: cameras, images, keypoints, putative matches, and inliers as two-view geometries.

    root: the folder that COLMAP is given, under which all photos must lie; None: the one that holds them all. of: the
    numbers of the images that are wanted; None: all that a match that takes part joins. pairs: by numbers, instead of
    the matches that take part. upright: a folder for the photos as lmr sees them, in which names begin then. Inliers
    agree on an affine map to 12 working px, which is no epipolar geometry: `pycolmap.geometric_verification` makes that
    of the matches. Keypoints are in px of the upright photo. Raises UsageError where pycolmap is not installed, or a
    photo lies elsewhere.
    """
    pycolmap = _pycolmap()
    pairs = accepted_pairs(stores, of) if pairs is None else pairs
    names, done = named(stores, pairs, root)
    if upright is not None:
        names, left_out = write_upright(stores, upright, list(names))
        done.photos, done.root, done.left_out = len(names), upright.resolve(), {**done.left_out, **left_out}
    pairs = [(a, b) for a, b in pairs if a in names and b in names]
    with replacing(path) as part:
        part.unlink(missing_ok=True)  # COLMAP makes its own
        database = pycolmap.Database.open(str(part))
        try:
            ids = {number: _put_image(stores, pycolmap, database, number, name) for number, name in names.items()}
            for (a, b), (matches, inliers) in matched(stores, pairs):
                database.write_matches(ids[a], ids[b], matches)
                geometry = pycolmap.TwoViewGeometry()
                geometry.config = pycolmap.TwoViewGeometryConfiguration.UNCALIBRATED
                geometry.inlier_matches = inliers
                database.write_two_view_geometry(ids[a], ids[b], geometry)
        finally:
            database.close()
    done.pairs = len(pairs)
    return done


def _pycolmap() -> ModuleType:
    try:
        import pycolmap
    except ImportError as error:
        raise UsageError("this needs pycolmap: pip install 'lmr[colmap]'") from error
    module: ModuleType = pycolmap
    return module


def accepted_pairs(stores: Stores, of: Sequence[int] | None = None) -> list[Pair]:
    """Pairs by numbers whose match takes part, or those among some images. Raises CollectionError where none does."""
    links = stores.ledger.pairs.links(of=of)
    pairs = np.stack([links.a, links.b], 1)[are(links, lambda reason: reason is None)]
    if of is not None:
        pairs = pairs[np.isin(pairs, list(of)).all(1)]
    if not len(pairs):
        raise CollectionError("no match takes part among these photos: `lmr link` finds some")
    return [(a, b) for a, b in pairs.tolist()]


def named(stores: Stores, pairs: Sequence[Pair], root: Path | None) -> tuple[dict[int, str], ForReconstruction]:
    """Names of the photos of pairs by number, from the root on; those without a file or features are left out."""
    ledger, left_out = stores.ledger, dict[str, str]()
    paths: dict[int, Path] = {}
    for number in sorted({number for pair in pairs for number in pair}):
        files = [path for data in ledger.files.paths(number) if (path := Path(os.fsdecode(data))).is_file()]
        within = [path for path in files if root is None or path.is_relative_to(root)]
        id = ledger.images.numbered(number).id
        if not files or not ledger.features.has(number):
            left_out[id] = "its file is gone" if not files else "it has no local features"
        elif not within:
            raise UsageError(
                f"{printable(str(files[0]))} does not lie under {root}: name a folder that holds all photos"
            )
        else:
            paths[number] = within[0]
    if root is None:
        root = Path(os.path.commonpath([path.parent for path in paths.values()])) if paths else Path()
    names = {number: path.relative_to(root).as_posix() for number, path in paths.items()}
    for number, name in list(names.items()):
        try:
            name.encode()
        except UnicodeEncodeError:
            left_out[ledger.images.numbered(number).id] = "its name is not UTF-8"
            del names[number]
    return names, ForReconstruction(len(names), 0, root, left_out)


def _put_image(stores: Stores, pycolmap: Any, database: Any, number: int, name: str) -> int:
    """An image with a camera of its own, as nothing is known of it."""
    image, features = stores.ledger.images.numbered(number), unpack(stores.ledger.features.local(number))
    width, height = image.width, image.height
    lens = [_FOCAL * max(width, height), width / 2, height / 2, 0.0]
    camera = database.write_camera(pycolmap.Camera(model="SIMPLE_RADIAL", width=width, height=height, params=lens))
    id = int(database.write_image(pycolmap.Image(name=name, camera_id=camera)))
    points = np.zeros((len(features), 4), np.float32)  # x, y, scale, turn
    points[:, :2], points[:, 2] = features.keypoints + np.float32(_CENTRE), features.scales
    database.write_keypoints(id, points)
    return id


def matched(stores: Stores, pairs: Sequence[Pair]) -> Iterator[tuple[Pair, tuple[Array, Array]]]:
    """Rows of matched keypoints of each pair, and of those that agree, (n, 2) and (k, 2) uint32."""

    def block(some: Sequence[Pair]) -> Block:
        return block_of(some, stores.ledger.features.locals)

    with stores.progress.task("Matches of points", len(pairs), "pairs") as advance:
        for some, found in results(stores.executor, point_matches, blocks(pairs), block, shared=stores.verifier):
            yield from zip(some, found, strict=True)
            advance(len(some))
