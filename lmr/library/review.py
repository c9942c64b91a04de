"""What is worth a look, as a value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from lmr.errors import UsageError
from lmr.library.reading import Misfit, value_of

if TYPE_CHECKING:
    from lmr.jobs.link.turned import Turned
    from lmr.method.spanning.bridges import Bridge


@dataclass(frozen=True)
class Review(Sequence["Bridge"]):
    """Matches worth a look, the most doubtful first, and photos that were turned, by id: a sequence of the matches.

    Each match has the ids `a` and `b` and the `names` of its photos, `inliers`, and how many images (`sizes`) it alone
    holds together, or how many `metres` apart its photos were taken, or how many matches join two places that are told
    apart as look-alikes (`alike`).

    >>> review = c.review()
    >>> len(review) == len(review.matches), len(review.turned)
    (True, 0)
    """

    matches: tuple[Bridge, ...]
    turned: tuple[Turned, ...]

    def __len__(self) -> int:
        return len(self.matches)

    def __getitem__(self, place: Any) -> Any:
        return self.matches[place]

    def __iter__(self) -> Iterator[Bridge]:
        return iter(self.matches)

    def why(self, one: Bridge | Turned) -> str:
        """Why a match, or a photo that was turned, is worth a look, in words.

        >>> all("inliers" in c.review().why(match) for match in c.review())
        True
        """
        from lmr.method.spanning.bridges import Bridge
        from lmr.reports.prose import why_doubted, why_turned

        return why_doubted(one) if isinstance(one, Bridge) else why_turned(one)

    def to_dict(self) -> list[dict[str, Any]]:
        """Plain values, as `lmr review --json` prints them: photos that were turned, then matches.

        >>> all({"a", "b", "why"} <= row.keys() for row in c.review().to_dict())
        True
        """
        rows = [{"a": one.id, "b": one.match, **asdict(one), "why": self.why(one)} for one in self.turned]
        return rows + [{**asdict(one), "doubt": round(one.doubt, 4), "why": self.why(one)} for one in self.matches]

    @classmethod
    def from_dict(cls, rows: Sequence[Mapping[str, Any]]) -> Self:
        """A review of the values that `to_dict` gave. Raises UsageError where they are none.

        >>> lmr.Review.from_dict(c.review().to_dict()) == c.review()
        True
        """
        from lmr.jobs.link.turned import Turned
        from lmr.method.spanning.bridges import Bridge

        try:
            told = value_of(list[dict[str, Any]], rows)
            turned = [value_of(Turned, row) for row in told if "turn" in row]
            return cls(tuple(value_of(Bridge, row) for row in told if "turn" not in row), tuple(turned))
        except Misfit as error:
            raise UsageError(f"these are no values of a review: {error}") from error
