"""Networks from checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lmr.method.features.networks.about import About
from lmr.method.features.networks.delf import DelfNetwork, DelgNetwork
from lmr.method.features.networks.gem import Family, GemNetwork
from lmr.method.features.networks.matchers import MatchingNetwork
from lmr.method.features.networks.points import KINDS, PointNetwork
from lmr.values import Array


def build(about: About, arrays: Mapping[str, Array], *, exact: bool = False) -> GemNetwork | DelfNetwork | DelgNetwork:
    """The network that a checkpoint's weights make; exact: see Network. Raises CheckpointError where they do not."""
    if about.local:
        return (
            DelfNetwork(arrays, exact=exact)
            if about.slim
            else DelgNetwork(arrays, old_attention=about.old_attention, exact=exact)
        )
    families: dict[str, Family] = {"gem": "cirtorch", "eigenplaces": "eigenplaces"}
    return GemNetwork(about.architecture, families.get(about.kind, "dir"), arrays, exact=exact)


def any_network(about: About, arrays: Mapping[str, Array]) -> Any:
    """The same of every kind, those of learned local features and matchers among them."""
    if about.kind == "lightglue":
        return MatchingNetwork(about, arrays)
    return PointNetwork(about, arrays) if about.kind in KINDS else build(about, arrays)
