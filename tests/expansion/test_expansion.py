"""Query expansion against plain loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from lmr.method.expansion import idqe
from lmr.method.expansion.average import alpha_qe, average_qe, database_augmentation
from lmr.method.expansion.diffusion import ALPHA, Diffusion
from lmr.method.expansion.idqe import Refiner, Smoothing, link_weights, refine
from lmr.values import Array, unit_rows


def collection(seed: int, n: int) -> tuple[Array, Array]:
    """Descriptors and a symmetric table of link weights, a third of them set."""
    rng = np.random.default_rng(seed)
    weights = np.triu(rng.uniform(0, 2, (n, n)) * (rng.random((n, n)) < 0.3), 1)
    return unit_rows(rng.normal(size=(n, 8))).astype(np.float32), weights + weights.T


def plain(originals: Array, weights: Array, smoothing: Smoothing) -> Array:
    current = [row.astype(float) for row in originals]
    for _ in range(smoothing.steps):
        moved = []
        for i, own in enumerate(current):
            total = smoothing.own * own + sum(
                (weights[i, j] * current[j] for j in range(len(current))), np.zeros(len(own))
            )
            moved.append(total / np.linalg.norm(total))
        current = moved
    return np.array(current)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(1, 3), st.floats(0.2, 3))
def test_refined_descriptors_are_the_plain_means_all_at_once_or_one_by_one(
    seed: int, n: int, steps: int, own: float
) -> None:
    originals, weights = collection(seed, n)
    smoothing = Smoothing(steps, own, 2.0)
    expected = plain(originals, weights, smoothing)
    assert np.allclose(refine(originals, csr_matrix(weights), smoothing), expected, atol=1e-6)
    ids = [f"{k:02}" for k in range(n)]

    def links(id: str) -> list[tuple[str, float]]:
        return [(ids[j], w) for j, w in enumerate(weights[int(id)].tolist()) if w]

    around = Refiner(lambda id: originals[int(id)], links, smoothing)
    assert all(np.allclose(around.stored(id), row, atol=1e-6) for id, row in zip(ids, expected))
    # a photo outside with the links of the first image, which the others do not know of
    lonely = weights.copy()
    lonely[1:, 0] = 0
    outside = Refiner(
        lambda id: originals[int(id)],
        lambda id: [(ids[j], w) for j, w in enumerate(lonely[int(id)].tolist()) if w],
        smoothing,
    )
    assert np.allclose(outside.photo(originals[0], links("00")), plain(originals, lonely, smoothing)[0], atol=1e-6)


def test_the_order_of_arrival_does_not_matter() -> None:
    originals, weights = collection(1, 30)
    smoothing = Smoothing(2, 1.0, 2.0)
    whole = refine(originals, csr_matrix(weights), smoothing)
    order = np.random.default_rng(0).permutation(30)
    rows, columns = np.nonzero(weights)
    shuffled = np.random.default_rng(1).permutation(len(rows))
    entered = csr_matrix((weights[rows, columns][shuffled], (rows[shuffled], columns[shuffled])))
    entered.sort_indices()
    assert np.array_equal(refine(originals, entered, smoothing), whole)
    moved = refine(originals[order], csr_matrix(weights[np.ix_(order, order)]), smoothing)
    assert np.allclose(moved, whole[order], atol=1e-6)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_rows_are_refined_some_at_a_time_as_all_at_once_to_the_bit(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    originals, weights = collection(2, 50)
    links, wanted = csr_matrix(weights), originals.astype(np.float64)
    for _ in range(steps):
        wanted = unit_rows(1.5 * wanted + links @ wanted)
    monkeypatch.setattr(idqe, "_ROWS", 7)
    found = refine(originals, links, Smoothing(steps, 1.5, 2.0))
    assert found.dtype == np.float32 and np.array_equal(found, wanted.astype(np.float32))


def test_link_weights_rise_with_inliers_and_with_the_chance_to_be_right() -> None:
    assert link_weights(np.array(100), np.array(60.0), 2.0) == pytest.approx(1)
    assert link_weights(np.array(100), np.array(2.0), 2.0) == pytest.approx(0.5)
    values = link_weights(np.array([5, 10, 20, 20]), np.array([0.0, 3.0, 6.0, 9.0]), 2.0)
    assert (np.diff(values) > 0).all()


def test_no_links_move_nothing() -> None:
    originals, _ = collection(0, 5)
    assert np.allclose(refine(originals, csr_matrix((5, 5)), Smoothing(3, 1.0, 2.0)), originals, atol=1e-7)
    alone = Refiner(lambda id: None, lambda id: [], Smoothing(2, 1.0, 2.0))
    assert alone.stored("x") is None
    assert np.allclose(alone.photo(originals[0], [("x", 1.0)]), originals[0], atol=1e-7)


def test_unverified_expansion_by_hand() -> None:
    index = np.array([[1, 0], [0.8, 0.6], [0, 1]], float)
    query = np.array([1.0, 0])
    assert average_qe(query, index, 2) == pytest.approx(np.array([2.8, 0.6]) / np.hypot(2.8, 0.6))
    expected = query + index[0] + 0.8**3 * index[1]
    assert alpha_qe(query, index, 2) == pytest.approx(expected / np.linalg.norm(expected))
    assert database_augmentation(index, 1)[2] == pytest.approx(unit_rows(index[2] + index[1]))
    assert average_qe(query, index[:1], 10) == pytest.approx(query)  # fewer images than wanted


def test_diffusion_solves_its_system() -> None:
    _, weights = collection(5, 12)
    start = np.eye(12)[0]
    degree = np.maximum(weights.sum(1), 1e-12)
    system = np.eye(12) - ALPHA * weights / np.sqrt(np.outer(degree, degree))
    assert np.allclose(Diffusion(csr_matrix(weights))(start), np.linalg.solve(system, start), atol=1e-3)


def test_alpha_expansion_equals_the_original_program(shared: Path) -> None:
    """That of naver/deep-image-retrieval, on its made queries and database: k = 5, alpha = 3."""
    expected = np.load(shared / "parity" / "dir_expected.npz")
    moved = np.stack([alpha_qe(query, expected["aqe__db"], 5, 3) for query in expected["aqe__q"]])
    assert np.abs(moved - expected["aqe__k5_alpha3"]).max() < 1e-6
    augmented = database_augmentation(expected["aqe__db"], 5, 3)
    assert np.abs(augmented - expected["adba__k5_alpha3"]).max() < 1e-6
