"""The photos made noisier: half of the positives gone, watermarks on unrelated photos, one landmark without labels.

    python -m benchmarks.noisy [--photos FOLDER] [--home FOLDER] [--pictures FOLDER]

Printed: the ladder on that set; idqe and idqe+mmst with 1, 2 and 3 smoothing steps, with and without the check that
refined descriptors agree, with and without the artefact tests; and how many of the watermarked photos are joined.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from benchmarks.data import SHARED
from benchmarks.offline import Choice, Offline
from benchmarks.photos import print_ladder
from lmr.jobs.ingest.ingest import ingest
from lmr.jobs.ingest.labels import labels_from_csv
from lmr.jobs.link.link import link
from lmr.local.milvus import LocalMilvus
from lmr.local.neo4j import LocalNeo4j
from lmr.outputs import put
from lmr.progress import Bars
from lmr.reports.photos import Pictures
from lmr.reports.pictures import jpeg
from lmr.retrieval.evaluate import evaluate
from lmr.retrieval.query import query_of_stored
from lmr.retrieval.values import SearchBudget
from lmr.settings import load
from lmr.store.stores import Stores
from lmr.values import Array, Hop

MARKED = 30  # photos with each mark
UNLABELLED = "opera"
STYLES = ("corner", "centre", "anywhere")


def main() -> None:
    """Build the set, run the main job on it, print what holds and what drifts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=SHARED / "photos", help="has images/ and labels.csv")
    parser.add_argument("--home", type=Path, help="keep the collection here")
    parser.add_argument("--pictures", type=Path, help="write pictures of the matches that were found to be artefacts")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        marks = build(options.photos, folder / "photos")
        settings, _ = load({"home": options.home or folder / "lmr"})
        try:
            with Stores.open(settings, Bars(), create=True) as collection:
                ingest(
                    collection, [folder / "photos" / "images"], labels=labels_from_csv(folder / "photos" / "labels.csv")
                )
                done = link(collection)
                print(f"{done.edges} edges, {done.accepted} accepted, {len(done.rounds)} rounds")
                print_ladder(evaluate(collection))
                report(collection, marks)
                if options.pictures is not None:
                    draw(collection, options.pictures)
        finally:
            LocalNeo4j(settings.home, settings).stop()
            LocalMilvus(settings.home, settings).stop()


def build(photos: Path, folder: Path) -> dict[str, str]:
    """Write the noisier set; file name -> mark, of the photos that carry one."""
    (folder / "images").mkdir(parents=True)
    with (photos / "labels.csv").open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: hashlib.sha256(row["image"].encode()).digest())
    seen: dict[str, int] = {}
    kept: list[dict[str, str]] = []
    marks: dict[str, str] = {}
    free = [row["image"] for row in rows if not row["landmark"]]
    for number, style in enumerate(STYLES):
        marks |= dict.fromkeys(free[number * MARKED : (number + 1) * MARKED], style)
    rng = np.random.default_rng(0)
    for row in rows:
        landmark = row["landmark"]
        if landmark and row["split"] == "index":
            seen[landmark] = seen.get(landmark, 0) + 1
            if seen[landmark] % 2:
                continue
        if landmark == UNLABELLED:
            row = {**row, "landmark": "", "split": "index"}
        kept.append(row)
        target = folder / "images" / row["image"]
        if row["image"] in marks:
            picture = np.asarray(cv2.imread(str(photos / "images" / row["image"])))
            cv2.imwrite(str(target), marked(picture, marks[row["image"]], rng), [cv2.IMWRITE_JPEG_QUALITY, 90])
        else:
            target.symlink_to((photos / "images" / row["image"]).resolve())
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["image", "landmark", "split"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(kept)
    return marks


def marked(picture: Array, style: str, rng: np.random.Generator) -> Array:
    """A photo (H, W, 3) with an archive's stamp laid over it."""
    height, width = picture.shape[:2]
    stamp: Array = np.zeros((60, 260), np.uint8)
    cv2.putText(stamp, "PHOTO ARCHIVE", (4, 28), cv2.FONT_HERSHEY_SIMPLEX, 0.9, 255, 2, cv2.LINE_AA)
    cv2.putText(stamp, f"(c) 2018 {style}.example.org", (4, 52), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1, cv2.LINE_AA)
    size = {"corner": 1.0, "centre": width / 900, "anywhere": float(rng.uniform(0.8, 1.2))}[style]
    size = min(size, 0.9 * width / 260, 0.9 * height / 60)
    stamp = cv2.resize(stamp, None, fx=size, fy=size, interpolation=cv2.INTER_AREA)
    h, w = stamp.shape
    x, y = {"corner": (width - w - 8, height - h - 8), "centre": ((width - w) // 2, (height - h) // 2)}.get(
        style, (int(rng.integers(0, width - w)), int(rng.integers(0, height - h)))
    )
    part = picture[y : y + h, x : x + w].astype(np.float32)
    share = 0.9 * stamp[..., None].astype(np.float32) / 255
    picture[y : y + h, x : x + w] = (part * (1 - share) + 255 * share).astype(np.uint8)
    return picture


def report(collection: Stores, marks: dict[str, str]) -> None:
    """Other settings on the same pairs, and what became of the marks."""
    offline = Offline(collection)
    print(f"\n{'settings, mAP@100':44} {'idqe':>6} {'idqe+mmst':>9} {'accepted':>8} {'wrong, labelled':>16}")
    for steps, weight, artefacts in itertools.product((1, 2, 3), (Choice().weight, 0.0), (True, False)):
        choice = replace(Choice(), steps=steps, weight=weight, artefacts=artefacts)
        found = offline.run(choice)
        name = f"{steps} steps, {'agreement' if weight > 0 else '-':9} {'artefact tests' if artefacts else '-'}"
        idqe, whole = (found.mean(offline.queries, whole=which) for which in (False, True))
        wrong = f"{found.wrong_in_all} of {found.labelled_in_all}"
        print(f"{name:44} {idqe:6.3f} {whole:9.3f} {found.accepted_in_all:8} {wrong:>16}")
    paths = collection.ledger.files.names()
    names = {image.id: paths[image.number][0].rsplit("/", 1)[-1] for image in collection.ledger.images.all()}
    print("\npairs of photos with the same mark:   compared and kept   of these artefacts   accepted")
    for style in STYLES:
        with_mark = {id for id, name in names.items() if marks.get(name) == style}
        edges = [e for _, e in collection.ledger.pairs.edges() if e.a in with_mark and e.b in with_mark]
        strong = [e for e in edges if e.verification.log_nfa >= collection.settings.nfa_accept]
        told = sum(bool(e.excluded and e.excluded.is_artefact) for e in strong)
        print(f"  {style:36} {len(strong):17} {told:20} {sum(e.excluded is None for e in strong):10}")
        for edge in (e for e in strong if e.excluded is None):
            print(f"    {names[edge.a]} {names[edge.b]}: {edge.verification.inliers} inliers")
    print("artefacts of photos that were given no mark:")
    for _, edge in collection.ledger.pairs.edges():
        unmarked = not (marks.get(names[edge.a]) and marks.get(names[edge.b]))
        if unmarked and bool(edge.excluded and edge.excluded.is_artefact):
            print(f"    {names[edge.a]} {names[edge.b]}: {edge.verification.inliers} inliers, {edge.excluded}")


def draw(collection: Stores, folder: Path) -> None:
    """A picture of each match that was found to be an artefact, the strongest first."""
    folder.mkdir(parents=True, exist_ok=True)
    for count, edge in enumerate(_artefacts(collection), 1):
        pictures = Pictures(collection, query_of_stored(collection, edge[0], SearchBudget(rounds=0)))
        hop = Hop(edge[0], edge[1], edge[2], 0.0)
        reason = edge[3].split(": ")[1].replace(" ", "-")
        put(folder / f"{count:03d}-{edge[2]}-inliers-{reason}.jpg", jpeg(pictures.match(hop)))


def _artefacts(collection: Stores) -> Iterator[tuple[str, str, int, str]]:
    edges = [edge for _, edge in collection.ledger.pairs.edges() if bool(edge.excluded and edge.excluded.is_artefact)]
    for edge in sorted(edges, key=lambda edge: -edge.verification.inliers)[:60]:
        yield edge.a, edge.b, edge.verification.inliers, str(edge.excluded)


if __name__ == "__main__":
    main()
