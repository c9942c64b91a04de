"""Weights of networks, and what they see in single photos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lmr.library.homes import FilePath, Home, settings_of

if TYPE_CHECKING:
    from lmr.extractors.checkpoints.published import Published
    from lmr.extractors.checkpoints.store import Store
    from lmr.values import Array


def checkpoints(home: Home = None) -> Store:
    """The weights of networks at hand: `all()`, `add(file)`, `fetch(name)`, `check()`; each describes itself.

    Raises UsageError where the package safetensors is not installed.

    >>> [kept.name for kept in lmr.checkpoints("paris").all()]
    []
    """
    from lmr.extractors.checkpoints.needed import need

    need("keeping weights of networks", "deep` or `onnx", "safetensors")
    from lmr.extractors.checkpoints.store import Store

    return Store.of(settings_of(home))


def published() -> list[Published]:
    """The published checkpoints that can be fetched."""
    from lmr.extractors.checkpoints.published import PUBLISHED

    return list(PUBLISHED.values())


def exported() -> list[str]:
    """Networks of which a manifest is known, but no published file in ONNX."""
    from lmr.extractors.checkpoints.published import EXPORTED

    return list(EXPORTED)


def features(
    photo: FilePath,
    *,
    local: str = "",
    whole: str = "",
    weights: Sequence[Path] = (),
    side: int = 0,
    scales: Sequence[float] = (),
    global_scales: Sequence[float] = (),
    most: int = 1000,
    threshold: float = 0.0,
    whitening: str = "",
    float32: bool = False,
    home: Home = None,
) -> dict[str, Array]:
    """The features of one photo exactly as networks give them, as arrays by name.

    local, whole: a checkpoint of the store, its kind, or one of `weights`, for local features and for the global
    descriptor; side: the longer side is reduced to so many px (0: never); scales: of the network's input; most: local
    features; threshold: the least attention. See `lmr features --help` for names and shapes. Raises PhotoError,
    CheckpointError, UsageError.

    >>> lmr.features("one.jpg", local="delf", home="paris")
    Traceback (most recent call last):
    ...
    lmr.errors.CheckpointError: ...
    """
    from lmr.extractors.single import Wanted, features_of

    checkpoints(home)
    wanted = Wanted(
        local, whole, weights, side, tuple(scales), tuple(global_scales), most, threshold, whitening, float32
    )
    return features_of(Path(photo), wanted, settings_of(home))
