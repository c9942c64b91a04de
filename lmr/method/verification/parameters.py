"""The parameters of verification, one value for each of its parts; whoever changes how a part works raises its version.

A pair belongs to the parameters that it was verified with: with others it is another pair.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Matching:
    """points: the strongest of a photo that are compared; ratio: of the nearest to the second distance, at most."""

    version: int = 1
    points: int = 2000
    ratio: float = 0.98


@dataclass(frozen=True, slots=True)
class TwoLooks(Matching):
    """The same with a first look at a pair, which settles most: only points that lie in near cells are compared.

    cells: the codebook whose centres they belong to; probes: cells that a point looks into; settled: -log10(false
    alarms) below which there is no second look, at all points; from_points: of both photos, for which it pays.
    """

    cells: str = "rootsift_cells"
    probes: int = 8
    settled: float = -1.0
    from_points: int = 500


@dataclass(frozen=True, slots=True)
class Plausible:
    """Maps that a photo of the same place may follow: turn in degrees, stretch and scale as factors."""

    scale: float = 10.0
    stretch: float = 3.0
    turn: float = 30.0
    affine_support: int = 6
    shift_support: int = 3

    @property
    def limits(self) -> tuple[float, float, float, float]:
        """Least and greatest scale, stretch, and turn in radians, as the compiled loops take them."""
        return 1 / self.scale, self.scale, self.stretch, math.radians(self.turn)


@dataclass(frozen=True, slots=True)
class Geometry:
    """Does one affine map explain more matches than chance would? All lengths are working px.

    tolerance: the geometric mean of the errors in both images; vote: times that, for the votes on hypotheses; scale:
    factor by which the scale of a match may differ; scale_chance: of a random match to agree in it. cell: side of the
    squares in which inliers count once; occupied: of those that measure the area that matches lie in. anchors: best
    inliers whose pairs are hypotheses of scale and shift, at least least_span apart, and how close others come.
    """

    version: int = 1
    tolerance: float = 12.0
    vote: float = 1.5
    scale: float = 2.0
    hypotheses: int = 300
    refined: int = 3
    refits: int = 3
    cell: float = 4.0
    scale_chance: float = 0.5
    anchors: int = 40
    least_span: float = 10.0
    close: float = 2.5
    occupied: float = 40.0
    least_matches: int = 3
    plausible: Plausible = Plausible()

    @property
    def vote_tolerance(self) -> float:
        """Working px."""
        return self.vote * self.tolerance

    @property
    def scale_tolerance(self) -> float:
        """Natural logarithm of a factor."""
        return math.log(self.scale)


@dataclass(frozen=True, slots=True)
class PairGeometry(Geometry):
    """The same for points without a size: any two of the best matches are a hypothesis of scale, turn and shift.

    first: matches whose pairs are hypotheses, if their points lie at least least_span apart in both photos. evidence:
    part of -log10(false alarms) that counts: neighbouring matches of networks that see far are not independent. alike:
    what is taken off it, as networks match one dome with another: more than chance agrees where places differ.
    """

    scale_chance: float = 1.0
    first: int = 60
    evidence: float = 1.0
    alike: float = 0.0


@dataclass(frozen=True, slots=True)
class Artefacts:
    """What shows in one pair that was laid over the photos.

    place: working px that it keeps its place to, most: of the inliers that do; share: of all points, above which the
    photos are near-duplicates; small: of the frame; margin: of a side, border: of the inliers that lie in it. probable:
    -log10(false alarms) from which it is worth asking; behind: that a place needs to be seen behind a mark; strays:
    part of what is only moved that may be chance, on each side.
    """

    version: int = 1
    place: float = 3.0
    most: float = 0.6
    share: float = 0.05
    small: float = 0.12
    margin: float = 0.1
    border: float = 0.9
    probable: float = 3.0
    behind: float = 3.0
    strays: float = 0.05


@dataclass(frozen=True, slots=True)
class Showing(Artefacts):
    """The same, and which parts of both photos a match shows (see Shown); grid: cells on each side of a photo."""

    grid: int = 32


@dataclass(frozen=True, slots=True)
class Marks:
    """The same small mark on unrelated photos of a collection.

    photos: the fewest that carry it; small: of the frame, at most, in each of them; overlap: of its places in one
    photo, as seen from two others; unrelated: standard deviations above the mean similarity of all photos.
    """

    version: int = 1
    photos: int = 5
    small: float = 0.12
    overlap: float = 0.5
    unrelated: float = 0.5


@dataclass(frozen=True, slots=True)
class Verifier:
    """All that the outcome of a pair depends on beside the features of its two photos."""

    matching: Matching = Matching()
    geometry: Geometry = Geometry()
    artefacts: Artefacts = Artefacts()

    @property
    def parts(self) -> tuple[Verifier, ...]:
        """One for each extractor that describes a photo."""
        return (self,)


@dataclass(frozen=True, slots=True)
class Together(Verifier):
    """The same of photos that are described by more than one extractor; others: how features of the others are judged.

    Each judges for itself, and what they find counts together (see verify.together).
    """

    others: tuple[Verifier, ...] = ()
    together: int = 1  # version of how

    @property
    def parts(self) -> tuple[Verifier, ...]:
        """One for each extractor."""
        return Verifier(self.matching, self.geometry, self.artefacts), *self.others


MATCHING, GEOMETRY, ARTEFACTS, MARKS = Matching(), Geometry(), Artefacts(), Marks()
VERIFIER = Verifier()
ROOTSIFT_VERIFIER = Verifier(TwoLooks(), artefacts=Showing())
