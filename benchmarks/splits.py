"""Are the settings good for landmarks that they were not chosen on? Choose on one half, report on the other.

    python -m benchmarks.splits --home COLLECTION [--splits N]

COLLECTION: FOLDER/photos-classic of `python -m benchmarks.photos --keep FOLDER`. For each random split of the landmarks
into halves, and for the same with the halves exchanged, the best of all settings on the first half is taken; printed
are its mAP@100 there and on the other half, what the best settings for that half would have given, and the part of
accepted matches between labelled photos of the other half that is wrong. The two halves differ in difficulty, so
the mean difference over exchanged halves is what counts.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.offline import Choice, Offline, Outcome, grid
from lmr.settings import load
from lmr.store.stores import Stores


def main() -> None:
    """Print the splits and their mean, and the defaults by landmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--splits", type=int, default=10)
    options = parser.parse_args()
    with Stores.open(load({"home": options.home})[0]) as collection:
        offline = Offline(collection)
    outcomes = {choice: offline.run(choice) for choice in grid()}
    default = outcomes[Choice()]
    by_landmark: dict[str, list[str]] = {}
    name_of = dict(zip(offline.ids, offline.landmark, strict=True))
    for query in offline.queries:
        by_landmark.setdefault(name_of[query], []).append(query)
    print(f"{len(outcomes)} settings, {len(by_landmark)} landmarks, {len(offline.queries)} queries; mAP@100")
    print(f"{'':30} {'chosen on':>10} {'other half':>10} {'its best':>9} {'defaults':>9} {'wrong':>7}")
    rows = []
    rng = np.random.default_rng(0)
    names = sorted(by_landmark)
    for _ in range(options.splits):
        order = rng.permutation(len(names))
        halves = [[names[k] for k in part] for part in (order[: len(names) // 2], order[len(names) // 2 :])]
        for first, other in (halves, halves[::-1]):
            rows.append(_split(outcomes, default, by_landmark, first, other))
            best, *figures, wrong = rows[-1]
            chosen = f"{best.accept:g} {best.even:g} {best.weight:g} {best.steps} {best.confidence:g}"
            print(f"  {chosen:28} " + " ".join(f"{value:10.3f}" for value in figures) + f" {100 * wrong:6.2f} %")
    means = np.mean([row[1:] for row in rows], axis=0)
    print(f"{'mean':30} " + " ".join(f"{value:10.3f}" for value in means[:4]) + f" {100 * means[4]:6.2f} %")
    print(
        f"difference {means[0] - means[1]:+.3f}; the worst part of wrong matches {100 * max(r[5] for r in rows):.2f} %"
    )
    print(
        "\nThe defaults without one of their parts: idqe, idqe+mmst, accepted, wrong of those between labelled photos"
    )
    parts: dict[str, dict[str, Any]] = {
        "all parts": {},
        "no artefact tests": {"artefacts": False},
        "no agreement": {"weight": 0.0},
    }
    parts |= {"neither": {"artefacts": False, "weight": 0.0}, "plain ID-QE (1 step)": {"steps": 1}}
    for name, changes in parts.items():
        found = offline.run(replace(Choice(), **changes))
        idqe, whole = found.mean(offline.queries, whole=False), found.mean(offline.queries, whole=True)
        share = f"{found.wrong_in_all} of {found.labelled_in_all}"
        print(f"  {name:28} {idqe:.3f} {whole:.3f}  {found.accepted_in_all}  {share}")
    print("\nThe defaults by landmark: idqe, idqe+mmst, wrong of accepted")
    for name in names:
        queries = by_landmark[name]
        idqe, whole = default.mean(queries, whole=False), default.mean(queries, whole=True)
        print(f"  {name:28} {idqe:.3f} {whole:.3f}  {default.wrong.get(name, 0)} of {default.accepted.get(name, 0)}")


def _split(
    outcomes: dict[Choice, Outcome],
    default: Outcome,
    by_landmark: dict[str, list[str]],
    first: list[str],
    other: list[str],
) -> tuple[Choice, float, float, float, float, float]:
    here = [query for name in first for query in by_landmark[name]]
    there = [query for name in other for query in by_landmark[name]]
    best = max(outcomes, key=lambda choice: outcomes[choice].mean(here, whole=True))
    found = outcomes[best]
    wrong = sum(found.wrong.get(name, 0) for name in other) / max(sum(found.accepted.get(name, 0) for name in other), 1)
    return (
        best,
        found.mean(here, whole=True),
        found.mean(there, whole=True),
        max(outcome.mean(there, whole=True) for outcome in outcomes.values()),
        default.mean(there, whole=True),
        wrong,
    )


if __name__ == "__main__":
    main()
