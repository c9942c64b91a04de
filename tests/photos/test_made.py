from __future__ import annotations

import numpy as np

from lmr.method.photos.made import photograph, shots


def test_made_photos_are_the_same_every_time() -> None:
    shot = shots()[3]
    assert np.array_equal(photograph(shot), photograph(shot))
    assert shots() == shots()
    assert shots(1) != shots()


def test_the_collection_has_what_the_demo_needs() -> None:
    listed = shots()
    assert len({shot.name for shot in listed}) == len(listed)
    assert {shot.split for shot in listed} == {"index", "query"}
    assert sum(shot.watermark for shot in listed) == 4
    assert not any(shot.watermark for shot in listed if shot.landmark)
