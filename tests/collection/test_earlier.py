"""Collections that earlier versions made go on as they are, and are described anew when their owner says so."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

import lmr
import lmr.store.stores
from lmr.extractors.presets import preset
from lmr.method.features.pack import pack, unpack
from lmr.method.features.sift import COARSE
from lmr.method.photos.decode import decode
from lmr.store.fingerprints import _ROOTSIFT, _VLAD
from lmr.values import Features
from tests.conftest import forget, on_servers


def features_of(c: lmr.Collection) -> dict[str, Features]:
    """The local features of each image."""
    ledger = c._stores.ledger
    return {image.id: unpack(ledger.features.local(image.number)) for image in ledger.images.all()}


def coarse(descriptors: np.ndarray) -> bool:
    """Whether all values are multiples."""
    return not (descriptors.astype(int) % COARSE).any()


def test_a_collection_goes_on_as_it_was_described(running, little: Path, tmp_path: Path) -> None:
    forget(running)
    photos = tmp_path / "photos"
    photos.mkdir()
    for k in (0, 1, 2):
        shutil.copy(little / f"bank-{k}.jpg", photos)
    of_now = lmr.store.stores.preset
    with on_servers(running), pytest.MonkeyPatch.context() as patch:
        patch.setattr(lmr.store.stores, "preset", lambda *given: of_now(*given).earlier)
        with lmr.open(tmp_path / "lmr", workers=1) as c:
            c.ingest(photos)
            edges = c.link().edges
    with on_servers(running), lmr.open(tmp_path / "lmr", workers=1) as c:
        known = {one.what: one for one in c.status().made_with}
        ledger = c._stores.ledger
        assert {one.parameters for one in ledger.fingerprints.all().values()} >= {_ROOTSIFT, _VLAD}
        assert not known["local features"].current and "coarse null, now 7" in known["local features"].changes
        assert "lmr train --preset" in known["local features"].advice

        shutil.copy(little / "bank-3.jpg", photos)
        assert c.ingest(photos).new == 1 and c.link().edges > edges == 3
        found = features_of(c)
        assert not any(coarse(one.descriptors) for one in found.values())
        data = (little / "bank-3.jpg").read_bytes()
        wanted, _ = preset("classic").earlier.extract(decode(data, enough=640, **c._stores.settings.decoding))
        added = unpack(pack(wanted)).descriptors
        assert found[hashlib.sha256(data).hexdigest()].descriptors.tobytes() == added.tobytes()
        assert {
            hit.image.id for hit in c.search(little / "bank-query.jpg").hits if hit.reached == "verified"
        } == found.keys()
        size, edges = ledger.features.mean_bytes(), c.link().edges

        c.redescribe("classic")
    with on_servers(running), lmr.open(tmp_path / "lmr", workers=1) as c:
        assert all(one.current for one in c.status().made_with)
        assert all(coarse(one.descriptors) for one in features_of(c).values())
        assert c._stores.ledger.features.mean_bytes() < size / 2
        assert c.link().edges == edges
        assert sum(hit.reached == "verified" for hit in c.search(little / "bank-query.jpg").hits) == 4
