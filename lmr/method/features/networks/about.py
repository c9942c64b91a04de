"""What a network is made of: its weights, and what is known about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

from lmr.method.features.networks.recipe import Recipe
from lmr.values import Array

Whole = Literal["dir", "gem", "eigenplaces", "delf", "delg", "imagenet", "onnx"]
Kind = Whole | Literal["aliked", "disk", "xfeat", "dedode", "keynet", "lightglue"]
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(slots=True)
class About:
    """What is known about weights beside their numbers, as kept in the manifest.

    local, whole: whether they describe places, the whole photo; neither where they match the points of two. mean,
    deviation: of the channels, for the global networks of PyTorch. whitenings: names under which learned whitening is
    kept. dimensions: of the global descriptor. old_attention: see DelgNetwork. recipe: of a network in ONNX. licence,
    origin, remarks: for people.
    """

    kind: Kind
    architecture: str
    local: bool = False
    whole: bool = False
    slim: bool = False
    linear: bool = False
    mean: tuple[float, ...] = IMAGENET[0]
    deviation: tuple[float, ...] = IMAGENET[1]
    whitenings: tuple[str, ...] = ()
    dimensions: int = 0
    old_attention: bool = False
    recipe: Recipe | None = None
    licence: str = ""
    origin: str = ""
    remarks: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """For the manifest; see from_json."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> About:
        """Raises TypeError where values are missing or unknown."""
        lists = {key: tuple(values[key]) for key in ("mean", "deviation", "whitenings")}
        recipe = values.get("recipe")
        return cls(**{**values, **lists, "recipe": None if recipe is None else Recipe.from_json(recipe)})


class Weights(Protocol):
    """Weights that are kept somewhere, and are read where the network runs. Equal ones have one hash."""

    def __hash__(self) -> int: ...

    @property
    def name(self) -> str:
        """What people call them."""
        ...

    @property
    def about(self) -> About:
        """What is known about them."""
        ...

    @property
    def mark(self) -> str:
        """Short name that tells these weights from all others."""
        ...

    def arrays(self) -> dict[str, Array]:
        """The weights themselves, by the names that their authors gave."""
        ...
