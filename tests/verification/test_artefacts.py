"""What is laid over photos is told from what they show."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from lmr.extractors.presets import preset
from lmr.method.features.pack import pack, unpack
from lmr.method.photos.made import photograph, shots
from lmr.method.verification.artefacts import Likeness, Seen, keeps_its_place, shared_marks, unrelated_in
from lmr.method.verification.geometry import only_moved
from lmr.method.verification.matching import prepare
from lmr.method.verification.verify import verify
from lmr.values import Array, Excluded, Photo, Verification, unit_rows

FRAME, OTHER = (0.0, 0.0, 640.0, 480.0), (0.0, 0.0, 480.0, 640.0)


def points(box: tuple[float, float, float, float], count: int = 30) -> Array:
    return np.random.default_rng(0).uniform(box[:2], box[2:], (count, 2))


def test_a_mark_in_a_corner_keeps_its_distance_to_that_corner() -> None:
    p = points((500, 440, 630, 470))
    assert keeps_its_place(p, p + np.array([-160, 160]), (FRAME, OTHER), 1.0, 2000) == Excluded.IN_PLACE
    assert keeps_its_place(p, p + np.array([-120, 160]), (FRAME, OTHER), 1.0, 2000) is None  # 40 px off


def test_a_near_duplicate_is_no_artefact_a_frame_is() -> None:
    p = points((0, 0, 640, 480), 300)
    assert keeps_its_place(p, p + 0.4, (FRAME, FRAME), 1.0, 2000) is None
    q = p[(np.minimum(p, (640, 480) - p) / (640, 480)).min(1) < 0.08]
    assert keeps_its_place(q, q + 0.4, (FRAME, FRAME), 1.0, 300) == Excluded.BORDER


def test_a_view_from_elsewhere_does_not_keep_its_place() -> None:
    p = points((200, 150, 500, 400))
    for scale, shift in ((1.0, (25, 3)), (1.3, (-100, -60)), (0.8, (60, 40))):
        assert keeps_its_place(p, p * scale + shift, (FRAME, FRAME), 1.0, 2000) is None


def test_scale_and_shift_are_found_among_strays() -> None:
    p = points((100, 100, 250, 140), 40)
    q = p * 1.2 + (30, -50) + np.random.default_rng(1).normal(0, 0.5, p.shape)
    q[25:] += np.random.default_rng(2).uniform(-11, 11, (15, 2))
    model, inside = only_moved(p, q)
    assert model[0, 0] == pytest.approx(1.2, abs=0.05)
    assert inside[:25].mean() > 0.9
    turned = p @ np.array([[0.97, 0.2], [-0.2, 0.97]]) * (1.3, 0.9)
    assert only_moved(p, turned) is None
    assert only_moved(p[:1].repeat(5, 0), q[:5]) is None  # all at one place


def test_how_alike_all_are_is_known_from_sums() -> None:
    rng = np.random.default_rng(5)
    vectors = unit_rows(rng.normal(0.3, 1, (200, 16)).astype(np.float32))
    vectors[7] = 0  # unknown
    known = np.delete(vectors, 7, 0).astype(np.float64)
    products = known @ known.T
    mean = (products.sum() - np.trace(products)) / (199 * 198)
    found = sum((Likeness.of(part) for part in np.split(vectors, [30, 31, 90])), start=Likeness.of(vectors[:0]))
    assert found.count == 199 and np.isclose(found.mean, mean)
    assert np.isclose(found.typical(0.5), mean + 0.5 * np.sqrt((products**2).mean()))
    assert Likeness.of(vectors[:1]).typical(0.5) == -1


def moved(a: int, b: int, box: float = 60) -> Seen:
    region = (10.0 * a, 20.0, 10.0 * a + box, 20.0 + box / 3)
    other = (10.0 * b, 20.0, 10.0 * b + box, 20.0 + box / 3)
    return Seen(a, b, np.array([[1.0, 0, 10.0 * (b - a)], [0, 1.0, 0]]), region, other)


def test_a_mark_anywhere_counts_only_on_unrelated_photos_and_enough_of_them() -> None:
    edges = [moved(a, b) for a, b in itertools.combinations(range(6), 2)]
    frames = np.full((40, 2), 640.0)
    rng = np.random.default_rng(0)
    unrelated = rng.normal(size=(40, 32))
    unrelated /= np.linalg.norm(unrelated, axis=1, keepdims=True)
    assert shared_marks(edges, frames, unrelated_in(unrelated)) == set(range(len(edges)))
    related = unrelated.copy()
    related[:6] = related[0]
    assert shared_marks(edges, frames, unrelated_in(related)) == set()  # six photos of one far-off place
    assert shared_marks(edges[:3], frames, unrelated_in(unrelated)) == set()  # too few
    large = [moved(a, b, 600) for a, b in itertools.combinations(range(6), 2)]
    assert shared_marks(large, frames, unrelated_in(unrelated)) == set()
    known = [*edges, Seen(0, 30, np.array([[2.0, 0, 0], [0, 2.0, 0]]), edges[0].region_a, (0, 0, 600, 300))]
    assert len(known) - 1 in shared_marks(
        known, frames, unrelated_in(unrelated)
    )  # a third of a small photo, but a known mark
    assert shared_marks([], frames, unrelated_in(unrelated)) == set()


def mark(picture: Array, place: str, rng: np.random.Generator) -> Array:
    stamp = np.zeros((46, 250), np.uint8)
    cv2.putText(stamp, "PHOTO ARCHIVE", (4, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.85, 255, 2, cv2.LINE_AA)
    cv2.putText(stamp, "(c) 2018 example.org", (4, 42), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1, cv2.LINE_AA)
    height, width = picture.shape[:2]
    x, y = width - 258, height - 54
    if place == "anywhere":
        x, y = int(rng.integers(0, width - 250)), int(rng.integers(0, height - 46))
    inside = picture[y : y + 46, x : x + 250]
    inside[stamp > 90] = 255
    return picture


@pytest.mark.parametrize("place", ["corner", "anywhere"])
def test_a_watermark_joins_no_two_photos_and_hides_no_place(place: str) -> None:
    extractors, rng = preset("classic"), np.random.default_rng(0)
    unrelated = [shot for shot in shots() if not shot.landmark and not shot.watermark][:8]
    town_hall = [shot for shot in shots() if shot.name in ("town-hall-front-1", "town-hall-front-2")]
    prepared = []
    for shot in unrelated + town_hall:
        picture = mark(photograph(shot)[..., ::-1].copy(), place, rng)
        photo = Photo(shot.name, picture, picture.shape[1], picture.shape[0])
        prepared.append(prepare(unpack(pack(extractors.local.prepare(photo)))))
    found = {(a, b): verify(prepared[a], prepared[b]) for a, b in itertools.combinations(range(len(prepared)), 2)}
    pairs = [pair for pair in found if pair != (8, 9)]
    strong = [pair for pair in pairs if found[pair].log_nfa >= 8]
    assert len(strong) > 15  # the mark is found
    edges = [seen(pair, found[pair]) for pair in pairs if found[pair].log_nfa >= 3 and not found[pair].artefact]
    kept = [pair for pair in strong if found[pair].artefact is None]
    vectors = rng.normal(size=(10, 64))
    marks = shared_marks(edges, np.array([(640, 480)] * 10), unrelated_in(unit_rows(vectors)))
    told = {(edges[k].a, edges[k].b) for k in marks}
    assert [pair for pair in kept if pair not in told] == []
    assert bool(told) == (place == "anywhere")
    assert found[8, 9].artefact is None  # the same place, seen behind the mark
    assert found[8, 9].log_nfa > 10


def seen(pair: tuple[int, int], found: Verification) -> Seen:
    return Seen(*pair, np.array(found.transform).reshape(2, 3), found.region_a, found.region_b)
