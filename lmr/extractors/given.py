"""What the entry point of an extractor is called with."""

from __future__ import annotations

from dataclasses import dataclass, field

from lmr.errors import UsageError
from lmr.extractors.checkpoints.needed import need
from lmr.extractors.checkpoints.store import Kept, Store
from lmr.method.features.neural import Engine
from lmr.settings import Settings


@dataclass(frozen=True, slots=True)
class Given:
    """name: by which the extractor was asked for; checkpoint: what stands after the colon, or empty."""

    name: str
    checkpoint: str = ""
    settings: Settings = field(default_factory=Settings)

    def weights(self) -> Kept:
        """Weights of the kind that the extractor is called after: those named, or the preferred ones at hand.

        Raises CheckpointError where there are none.
        """
        kept = Store.of(self.settings).find(self.checkpoint or self.name)
        if kept.about.kind != self.name:
            raise UsageError(f"{kept.name} is a checkpoint of {kept.about.kind}, not of {self.name}")
        return kept

    def engine(self) -> Engine:
        """The network of these weights, on the device that the settings name."""
        need(f"{self.name!r}", "deep", "torch")
        return Engine(self.weights(), self.settings.device)
