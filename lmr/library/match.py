"""A match of two stored images, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lmr.values import ImageId

if TYPE_CHECKING:
    from lmr.store.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Match:
    """What comparing two stored images found, a the smaller id, and what became of it.

    matches: putative ones; inliers: those that agree in one map; log_nfa: -log10 of how many such agreements chance
    would give. similarity and weight: None for one below the lower threshold. excluded: why it takes no part, None if
    it does or was never a match (weight is None). verdict: what a person said last, with the reason `why`.

    >>> match = c.match("photos/front.jpg", "photos/front-2.jpg")
    >>> match.takes_part, match.log_nfa > 3
    (True, True)
    """

    a: ImageId
    b: ImageId
    matches: int
    inliers: int
    log_nfa: float
    similarity: float | None
    weight: float | None
    round: int
    excluded: str | None
    verdict: Literal["confirmed", "rejected"] | None
    why: str | None

    @property
    def takes_part(self) -> bool:
        """Whether ways pass over it.

        >>> c.match("photos/front.jpg", "photos/front-2.jpg").takes_part
        True
        """
        return self.weight is not None and self.excluded is None

    def words(self) -> str:
        """The same for people, in a sentence or two.

        >>> "inliers" in c.match("photos/front.jpg", "photos/front-2.jpg").words()
        True
        """
        from lmr.reports.prose import how_it_matches

        told = how_it_matches(self.matches, self.inliers, self.log_nfa, self.excluded)
        if self.verdict is not None:
            told += f" A person {self.verdict} it{f': {self.why}' if self.why else ''}."
        return told


def match_of(ledger: Ledger, a: str, b: str) -> Match | None:
    """The match of two images, the smaller id first; None if they were never compared."""
    images = ledger.images.get(a), ledger.images.get(b)
    row = None if None in images else ledger.pairs.row(*(image.number for image in images if image is not None))
    if row is None:
        return None
    found, ruling = row.verification, ledger.verdicts.ruling(a, b)
    return Match(
        ImageId(a),
        ImageId(b),
        found.matches,
        found.inliers,
        found.log_nfa,
        row.similarity,
        row.weight,
        row.round,
        None if row.excluded is None else row.excluded.value,
        None if ruling is None else ruling.verdict,
        None if ruling is None else ruling.why,
    )
