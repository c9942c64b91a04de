"""Local features of several extractors together: what one does not find in a photo, another may."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lmr.method.features.extractor import LocalFeatures
from lmr.method.verification.parameters import Together, Verifier
from lmr.values import Features, Photo


@dataclass(frozen=True, slots=True)
class SeveralParameters:
    """Those of each extractor."""

    parts: tuple[Any, ...]
    version: int = 1


class Several:
    """See LocalFeatures; parts: the extractors, of which the first tells how many points a photo has."""

    def __init__(self, parts: Sequence[LocalFeatures]) -> None:
        self.parts = tuple(parts)
        self.name = ",".join(part.name for part in parts)
        self.max_side = max(part.max_side for part in parts)
        self.on_device = any(part.on_device for part in parts)
        self.parameters = SeveralParameters(tuple(part.parameters for part in parts))

    @property
    def verifier(self) -> Verifier:
        """How pairs are judged: by each for itself, then together."""
        first, *others = (part.verifier for part in self.parts)
        return Together(first.matching, first.geometry, first.artefacts, tuple(others))

    def prepare(self, photo: Photo) -> tuple[Any, ...]:
        """What each makes of a photo."""
        return tuple(part.prepare(photo) for part in self.parts)

    def extract(self, batch: Sequence[tuple[Any, ...]]) -> list[Features]:
        """Local features of each, those of the first with the others'."""
        each = [part.extract([photo[k] for photo in batch]) for k, part in enumerate(self.parts)]
        return [replace(first, others=tuple(others)) for first, *others in zip(*each, strict=True)]
