"""Photos that more than one extractor describes: kept, compared and judged together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lmr.errors import CheckpointError, CollectionError, UsageError
from lmr.extractors.presets import preset
from lmr.extractors.registry import local_features
from lmr.method.features.pack import pack, unpack
from lmr.method.fingerprints import VERIFICATION, Fingerprint
from lmr.method.verification.matching import prepare
from lmr.method.verification.parameters import Matching, PairGeometry, Together, Verifier
from lmr.method.verification.verify import correspondences, matched_points, together, verify, verify_all
from lmr.settings import Settings
from lmr.values import Excluded, Features, Verification
from tests.features.test_vlad import SMALL, each, made
from tests.verification.test_verification import of_one_place

ONE, OTHER = Verifier(), Verifier(Matching(ratio=0.95), PairGeometry())
BY = Together(others=(OTHER,))


def both(first: Features, other: Features) -> Features:
    return replace(first, others=(replace(other, extractor="other"),))


def pair(seed: int, shared: int, of_others: int) -> tuple[Features, Features]:
    """Two photos of one place, of which each extractor sees so many points in both."""
    rng = np.random.default_rng(seed)
    a, b = of_one_place(rng, shared, 60, 1.0)
    c, d = of_one_place(rng, of_others, 60, 1.0)
    return both(a, c), both(b, d)


def test_features_of_several_are_kept_as_they_were() -> None:
    first, _ = pair(0, 40, 80)
    packed = pack(first)
    back = unpack(packed)
    assert [part.extractor for part in back.parts] == ["rootsift", "other"] and pack(back) == packed
    for kept, part in zip(back.parts, first.parts, strict=True):
        assert np.array_equal(kept.descriptors, part.descriptors)
        assert pack(replace(kept, others=())) == pack(replace(part, others=()))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_bytes_are_told(data: st.DataObject) -> None:
    packed = pack(pair(0, 10, 10)[0])
    cut = data.draw(st.integers(1, len(packed) - 1))
    for broken in (packed[:cut], packed + b"\0", b"\4\0", b"\4\2" + packed[2:6] * 3):
        with pytest.raises(CollectionError, match="damaged"):
            unpack(broken)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 60), st.integers(0, 60))
def test_a_pair_is_judged_by_each_and_together(seed: int, shared: int, of_others: int) -> None:
    first, second = pair(seed, shared, of_others)
    a, b = (prepare(photo, BY) for photo in (first, second))
    parts = [
        verify(*(prepare(photo.parts[k], by) for photo in (first, second)), by) for k, by in enumerate((ONE, OTHER))
    ]
    found = verify(a, b, BY)
    told = [one for one in parts if one.transform is not None and one.log_nfa > 0]
    assert found.log_nfa == pytest.approx(sum(one.log_nfa for one in told)) if told else found == parts[0]
    if told:
        best = max(told, key=lambda one: one.log_nfa)
        assert (found.transform, found.region_a) == (best.transform, best.region_a)
        assert found.inliers == max(one.inliers for one in told)
    back = verify(b, a, BY)
    assert (back == found.swapped() or back.swapped() == found) and verify_all([(a, b)], by=BY) == [found]
    again, places, _ = correspondences(a, b, BY)
    assert again == found and len(places) >= (found.inliers if told else 0) * (len(told) < 2)
    matches, _ = matched_points(a, b, BY)
    assert matches.max(initial=0) < len(first)  # of the first extractor


def outcome(log_nfa: float, artefact: Excluded | None = None) -> Verification:
    return Verification(40, 20, log_nfa, (1.0, 0, 0, 0, 1, 0), (0.0, 0, 1, 1), (0.0, 0, 1, 1), artefact)


def test_a_mark_counts_unless_a_place_is_seen_behind_it() -> None:
    mark, weak, place = outcome(50.0, Excluded.IN_PLACE), outcome(2.0), outcome(9.0)
    assert together([mark, weak], BY) == (mark, 0) and together([weak, mark], BY) == (mark, 1)
    assert together([mark, place], BY) == (place, 1) and together([place, mark], BY) == (place, 0)
    nothing = Verification(3, 0, 0.0)
    assert together([nothing, weak], BY) == (weak, 1) and together([nothing, nothing], BY) == (nothing, 0)
    assert together([weak, place], BY)[0].log_nfa == 11.0


def test_a_photo_that_is_glanced_at_is_compared_by_the_first_alone() -> None:
    first, second = pair(3, 80, 80)
    a, few = prepare(first, BY), prepare(replace(second, others=()), BY)
    assert verify(a, few, BY).log_nfa == verify(prepare(replace(first, others=()), ONE), few, ONE).log_nfa


def test_vlad_describes_by_the_features_of_all() -> None:
    rng = np.random.default_rng(0)
    given = [(both(made(rng, 60), made(rng, 50)), rng.integers(-60, 60, (40, 32)).astype(np.int8)) for _ in range(30)]
    model = SMALL.train(given, each)
    assert len(model.sparse) == 4 and len(model.dense) == 1
    of_both = SMALL.describe(*given[0], model)
    swapped = (replace(given[0][0], others=given[1][0].others), given[0][1])
    alone = (replace(given[0][0], others=()), given[0][1])
    assert of_both @ SMALL.describe(*swapped, model) < 0.999
    assert 0.2 < of_both @ SMALL.describe(*alone, model) < 0.999


def test_names_and_fingerprints() -> None:
    with pytest.raises(UsageError, match="names an extractor twice"):
        preset("rootsift,rootsift+vlad")
    with pytest.raises(CheckpointError, match="nor is it an extractor"):
        local_features("rootsift,sift", Settings())
    alone = Fingerprint.of(VERIFICATION, ONE)
    assert len({alone.hash, Fingerprint.of(VERIFICATION, BY).hash, Fingerprint.of(VERIFICATION, Together()).hash}) == 3
