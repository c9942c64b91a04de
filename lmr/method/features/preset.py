"""A preset: which local features and which global descriptor describe a collection, each chosen on its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lmr.method.features.extractor import GlobalDescriptor, LocalFeatures
from lmr.method.features.several import Several
from lmr.method.features.sift import RootSift, turned_descriptors, turned_features
from lmr.method.features.vlad import Vlad
from lmr.method.fingerprints import LOCAL, WHOLE, Fingerprint
from lmr.method.verification.parameters import Verifier
from lmr.values import Array, Features, Photo

Both = Callable[[Sequence[Any]], list[tuple[Features, Array]]]


@dataclass(frozen=True, slots=True)
class Preset:
    """Local features and global descriptor of a collection; both: makes both at once, where one network does."""

    name: str
    local: LocalFeatures
    descriptor: GlobalDescriptor
    both: Both | None = None
    on_device: bool = False

    @classmethod
    def of(cls, name: str, local: LocalFeatures, descriptor: GlobalDescriptor) -> Preset:
        """That of two extractors."""
        on_device = local.on_device or descriptor.on_device
        together = getattr(local, "together", lambda _: None)
        return cls(name, local, descriptor, together(descriptor), on_device)

    @property
    def enough(self) -> int:
        """Longer side, px, to which a photo may be reduced while decoding."""
        return max(self.local.max_side, self.descriptor.max_side)

    @property
    def verifier(self) -> Verifier:
        """How pairs of its photos are verified."""
        return self.local.verifier

    @property
    def fingerprints(self) -> tuple[Fingerprint, Fingerprint]:
        """What made local features and global descriptors, down to the last parameter."""
        return Fingerprint.of(LOCAL, self.local.parameters), Fingerprint.of(WHOLE, self.descriptor.parameters)

    @property
    def mark(self) -> str:
        """Names what describes photos, down to the weights."""
        return f"{self.local.name}+{self.descriptor.name}"

    def prepare(self, photo: Photo) -> Any:
        """What any process can do of describing a photo; see finish."""
        if self.both is not None:
            return self.local.prepare(photo)
        return self.local.prepare(photo), self.descriptor.prepare(photo)

    def finish(self, prepared: Sequence[Any]) -> list[tuple[Features, Array]]:
        """Local features and raw global descriptor of each photo."""
        if self.both is not None:
            return self.both(prepared)
        local = self.local.extract([part for part, _ in prepared])
        return list(zip(local, self.descriptor.extract([part for _, part in prepared]), strict=True))

    @property
    def turns_cheaply(self) -> bool:
        """Whether `turned` tells, without pixels, what a turned photo is described by."""
        first = self.local.parts[0] if isinstance(self.local, Several) else self.local
        return isinstance(first, RootSift) and isinstance(self.descriptor, Vlad)

    def turned(self, features: Features, raw_global: Array, turn: int, size: tuple[int, int]) -> tuple[Features, Array]:
        """Features and raw global descriptor of a photo of (width, height) px about as they are in the turned one.

        Of more than one extractor the first tells.
        """
        return turned_features(replace(features, others=()), turn, size), turned_descriptors(raw_global, "dense", turn)

    def extract(self, photo: Photo) -> tuple[Features, Array]:
        """Local features and raw global descriptor of one photo."""
        return self.finish([self.prepare(photo)])[0]
