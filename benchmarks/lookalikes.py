"""Places that look alike in part: how many matches join them, and what that does to the rankings.

    python -m benchmarks.lookalikes [--families N] [--photos N] [--seed N] [--preset NAME] [--home FOLDER]

Made photos of pairs of places that share what is no place: `towers` (the same two towers beside other halls), `statue`
(copies of one statue before other façades), `frieze` (one band of ornament on other façades), `mirrored` (a façade and
its mirror image). Printed for each kind: how many of the compared pairs of one place and of two that look alike take
part, by how much evidence, and mAP@100 of the whole method and of what it is built on.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from lmr.jobs.ingest.ingest import ingest
from lmr.jobs.ingest.labels import labels_from_csv
from lmr.jobs.link.link import link
from lmr.local.milvus import LocalMilvus
from lmr.local.neo4j import LocalNeo4j
from lmr.method.photos.made import Building, Face, Shot, facade, photograph, photograph_faces
from lmr.outputs import put
from lmr.progress import Bars
from lmr.retrieval.evaluate import Evaluation, evaluate
from lmr.settings import load
from lmr.store.stores import Stores
from lmr.values import Array

WIDE, TALL = 12.0, 9.0  # of a façade
ALONE = 30  # photos of places that look like no other


def main() -> None:
    """Make the photos, run the main job on them, print what was joined."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="keep the collection here")
    parser.add_argument("--pictures", type=Path, help="keep the photos here")
    parser.add_argument("--families", type=int, default=6, help="of two places, for each kind")
    parser.add_argument("--photos", type=int, default=8, help="of each place")
    parser.add_argument("--preset", default="classic")
    parser.add_argument("--seed", type=int, default=0, help="of the made photos")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.pictures or Path(temporary) / "photos"
        build(folder, options.families, options.photos, seed=options.seed)
        settings, _ = load({"home": options.home or Path(temporary) / "lmr", "preset": options.preset})
        try:
            with Stores.open(settings, Bars(), create=True) as stores:
                ingest(stores, [folder], labels=labels_from_csv(folder / "labels.csv"))
                done = link(stores)
                print(f"{done.edges} edges, {done.accepted} accepted, {len(done.rounds)} rounds")
                print_rankings(evaluate(stores))
                report(stores)
        finally:
            LocalNeo4j(settings.home, settings).stop()
            LocalMilvus(settings.home, settings).stop()


# ------------------------------------------------------------ the places


def _wall(left: float, wide: float, tall: float, near: float, texture: Array) -> Face:
    """A wall that faces the camera, `near` before the façades' plane."""
    y = -5.0 - near
    right = left + wide
    return np.array([(left, y, tall), (right, y, tall), (right, y, 0.0), (left, y, 0.0)]), texture


def towers(shared: int, own: int) -> list[Face]:
    """A hall of its own between two towers that stand elsewhere, too."""
    tower = facade(shared, 3.0, TALL + 2)
    hall = facade(own, WIDE - 4, TALL - 1)
    return [
        _wall(-4.0, WIDE - 4, TALL - 1, 0.0, hall),
        _wall(-7.0, 3.0, TALL + 2, 0.0, tower),
        _wall(4.0, 3.0, TALL + 2, 0.0, tower),
    ]


def statue(shared: int, own: int) -> list[Face]:
    """A façade of its own behind a statue of which there are copies."""
    figure = facade(shared, 2.2, 4.5)
    return [_wall(-WIDE / 2, WIDE, TALL, 0.0, facade(own, WIDE, TALL)), _wall(-1.1, 2.2, 4.5, 4.0, figure)]


def frieze(shared: int, own: int) -> list[Face]:
    """A façade of its own that bears a band of ornament as others do."""
    wall, band = facade(own, WIDE, TALL).copy(), facade(shared, WIDE, 1.6)
    top = wall.shape[0] // 3
    wall[top : top + band.shape[0], : band.shape[1]] = band[:, : wall.shape[1]]
    return [_wall(-WIDE / 2, WIDE, TALL, 0.0, wall)]


def mirrored(shared: int, own: int) -> list[Face]:
    """A façade, or its mirror image."""
    wall = facade(shared, WIDE, TALL)
    return [_wall(-WIDE / 2, WIDE, TALL, 0.0, wall if own % 2 else np.ascontiguousarray(wall[:, ::-1]))]


KINDS: dict[str, Callable[[int, int], list[Face]]] = {
    "towers": towers,
    "statue": statue,
    "frieze": frieze,
    "mirrored": mirrored,
}


def shots(
    families: int, photos: int, kinds: Sequence[str] = tuple(KINDS), alone: int = ALONE, seed: int = 0
) -> Iterator[tuple[Shot, list[Face] | None]]:
    """All photos and what they show: `KIND-FAMILY-PLACE-PHOTO`, the first of each place a query; None: a building."""
    rng = np.random.default_rng(seed)
    plain = Building(0, WIDE, 10.0, TALL)

    def shot(name: str, landmark: str, building: Building, split: str) -> Shot:
        azimuth, distance, own = float(rng.uniform(-32, 32)), float(rng.uniform(8, 16)), int(rng.integers(1 << 31))
        return Shot(name, landmark, building, azimuth, distance, own, bool(rng.random() < 0.3), split=split)

    for kind in kinds:
        made = KINDS[kind]
        for family in range(families):
            shared = int(rng.integers(1 << 30))
            for place in range(2):
                faces, landmark = made(shared, 2 * int(rng.integers(1 << 30)) + place), f"{kind}-{family}-{place}"
                for k in range(photos):
                    yield shot(f"{landmark}-{k}", landmark, plain, "index" if k else "query"), faces
    for k in range(alone):
        size = [float(x) for x in rng.uniform((8, 8, 7), (12, 12, 11))]
        yield shot(f"alone-{k}", "", Building(int(rng.integers(1 << 30)), *size), "index"), None


def build(
    folder: Path,
    families: int,
    photos: int,
    kinds: Sequence[str] = tuple(KINDS),
    alone: int = ALONE,
    seed: int = 0,
) -> None:
    """Write the photos and labels.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["image,landmark,split"]
    for shot, faces in shots(families, photos, kinds, alone, seed):
        pixels = photograph(shot) if faces is None else photograph_faces(shot, lambda _, seen=faces: seen)  # type: ignore[misc]
        put(folder / f"{shot.name}.jpg", cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())
        rows.append(f"{shot.name}.jpg,{shot.landmark},{shot.split}")
    put(folder / "labels.csv", "\n".join(rows).encode() + b"\n")


# ------------------------------------------------------------ what came of them


def report(stores: Stores) -> None:
    """The pairs of each kind that were compared, and those that take part; of what evidence the wrong ones are."""
    place = {image.number: image.landmark or "alone" for image in stores.ledger.images.all()}
    rows = list(stores.ledger.pairs.rows())
    of = np.array([relation(place[row.a], place[row.b]) for row in rows])
    takes_part = np.array([row.weight is not None and row.excluded is None for row in rows])
    evidence = np.array([row.verification.log_nfa for row in rows])
    print(
        f"\n{'pairs that take part, of those compared':42} {'one place':>15} {'look alike':>15}  evidence of the latter"
    )
    for kind in KINDS:
        same, alike = of == f"{kind}: same", of == f"{kind}: alike"
        told = [f"{int(takes_part[some].sum())} of {int(some.sum())}" for some in (same, alike)]
        spread = np.quantile(evidence[alike & takes_part], [0, 0.5, 1]) if (alike & takes_part).any() else []
        print(f"{kind:42} {told[0]:>15} {told[1]:>15}  {', '.join(f'{one:.0f}' for one in spread)}")
    others = of == "other"
    print(f"{'of other places':42} {int(takes_part[others].sum()):>11} of {int(others.sum())}")


def relation(a: str, b: str) -> str:
    """`KIND: same` of one place, `KIND: alike` of two that share something, else `other`."""
    kind = a.partition("-")[0]
    if a == b != "alone":
        return f"{kind}: same"
    return f"{kind}: alike" if a != "alone" and a.rpartition("-")[0] == b.rpartition("-")[0] else "other"


def print_rankings(found: Evaluation) -> None:
    """mAP@100 of each kind by what the ranking is built on."""
    names = [one.name for one in found.baselines]
    print(f"\n{'mAP@100':12}" + "".join(f"{name:>16}" for name in names))
    for kind in KINDS:
        rows = [row for row in found.rows if row.group.startswith(f"{kind}-")]
        means = [float(np.mean([row.scores[name]["map_at_100"] for row in rows])) for name in names]
        print(f"{kind:12}" + "".join(f"{mean:16.3f}" for mean in means))


if __name__ == "__main__":
    main()
