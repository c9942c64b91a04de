"""Features from networks: DELF and DELG for places, DIR, GeM, DELG and ImageNet's ResNets for whole photos.

A photo is prepared (resized) wherever it was decoded, and described where the network is: on a CPU in the same worker
process, on a GPU in batches of one size in the main process.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from lmr.errors import CheckpointError, UsageError
from lmr.method.features.extractor import GlobalDescriptor
from lmr.method.features.networks.about import Weights
from lmr.method.features.vectors import LEARNED, MOST_LEARNED_FROM, PHOTOS_A_DIMENSION, LearnedWhitening, Vectors
from lmr.method.features.whitening import Whitening
from lmr.method.verification.parameters import VERIFIER
from lmr.values import Array, Features, Photo, readonly, to_int8, unit_rows

if TYPE_CHECKING:
    import torch

    from lmr.method.features.networks.delf import DelfNetwork, DelgNetwork, Places
    from lmr.method.features.networks.gem import GemNetwork, Preparation

SIDE = 1024  # px of the longer side that networks see, as their authors had it
MOST = 1000
REDUCED = 40  # dimensions of DELF's features
ROOT2 = 2**0.5
QUANTUM = 127.0  # int8 for each unit of a feature of length 1, so that nothing is clipped
DELF_UNIT = 20.0 / 12.0  # px of the picture: in these DELF's tolerance of 20 px is verification's 12
_BATCH = 16
_DIR_WHITENING, _DIR_POWER = "Landmarks_clean", 0.25
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PlacesParameters:
    """All that local features depend on beside the photo; weights: kind and digest; scales: of the picture."""

    weights: str
    side: int
    attention: float
    most: int
    scales: tuple[float, ...]
    version: int = 1
    reduced: int = REDUCED
    quantum: float = QUANTUM
    unit: float = DELF_UNIT


@dataclass(frozen=True, slots=True)
class WholeParameters:
    """The same of the global descriptor; learned: dimensions of whitening where the checkpoint has none."""

    weights: str
    side: int
    scales: tuple[float, ...]
    power: float
    version: int = 1
    whitening: str = _DIR_WHITENING
    whitening_power: float = _DIR_POWER
    learned: int = LEARNED
    photos_a_dimension: int = PHOTOS_A_DIMENSION
    most_learned_from: int = MOST_LEARNED_FROM


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """What a network sees: pixels (h, w, 3) uint8 of a photo of width x height px."""

    pixels: Array
    width: int
    height: int

    @property
    def scale(self) -> Array:
        """(2,) px of the photo for each of the picture, x and y."""
        return np.array([self.width / self.pixels.shape[1], self.height / self.pixels.shape[0]])


class Pictured(Protocol):
    """What has pixels (h, w, 3) uint8."""

    @property
    def pixels(self) -> Array:
        """The pixels."""
        ...


P = TypeVar("P", bound=Pictured)


@dataclass(frozen=True, slots=True)
class Engine:
    """A checkpoint's network on a device, loaded when first needed and once in a process."""

    kept: Weights
    device: str

    @property
    def on_cpu(self) -> bool:
        """Whether it runs on the CPU."""
        return chosen_device(self.device).type == "cpu"

    def network(self) -> Any:
        """The network."""
        return _network(self)

    def each(self, run: Callable[[list[P]], Sequence[T]], pictures: Sequence[P]) -> list[T]:
        """Run on pictures in batches of one size; results in the pictures' order."""
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for k, picture in enumerate(pictures):
            by_shape.setdefault(picture.pixels.shape, []).append(k)
        size = 1 if self.on_cpu else _BATCH
        found: dict[int, T] = {}
        for rows in by_shape.values():
            for start in range(0, len(rows), size):
                part = rows[start : start + size]
                found.update(zip(part, run([pictures[k] for k in part]), strict=True))
        return [found[k] for k in range(len(pictures))]


@functools.lru_cache(4)
def _network(engine: Engine) -> Any:
    from lmr.method.features.networks.build import any_network

    network = any_network(engine.kept.about, engine.kept.arrays())
    network.to(chosen_device(engine.device))
    return network


def chosen_device(name: str) -> torch.device:
    """The device of that name; `auto` is a GPU where there is one. Raises UsageError."""
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"the device {name!r} cannot be used: {str(error).splitlines()[0]}") from error
    return device


class LocalPart:
    """Local features of DELF or DELG. side: longer side of the picture, px; attention: the least of a feature."""

    def __init__(self, engine: Engine, side: int = SIDE, attention: float = 0.0, most: int = MOST) -> None:
        self.engine, self._side, self._attention, self._most = engine, side, attention, most
        self.name = engine.kept.mark
        self.max_side = side
        self.on_device = not engine.on_cpu
        self.verifier = VERIFIER

    def together(self, descriptor: GlobalDescriptor) -> Callable[[Sequence[Picture]], list] | None:
        """What makes DELG's global descriptor from the same pass, if that is wanted."""
        same = isinstance(descriptor, GlobalPart) and descriptor.engine == self.engine
        return BothParts(self).extract if same else None

    @property
    def parameters(self) -> PlacesParameters:
        """What the features depend on."""
        from lmr.method.features.networks.delf import SCALES

        return PlacesParameters(self.name, self._side, self._attention, self._most, SCALES)

    def prepare(self, photo: Photo) -> Picture:
        """What the network is to see of a photo."""
        from lmr.method.features.networks.delf import limited

        return Picture(limited(photo.pixels, self._side)[0], photo.width, photo.height)

    def extract(self, batch: Sequence[Picture]) -> list[Features]:
        """Local features of each, strongest first."""
        from lmr.method.features.networks.delf import describe

        network: DelfNetwork | DelgNetwork = self.engine.network()

        def run(pictures: list[Picture]) -> list[Features]:
            found, _ = describe(network, [p.pixels for p in pictures], threshold=self._attention, most=self._most)
            return [self.features(picture, places) for picture, places in zip(pictures, found, strict=True)]

        return self.engine.each(run, batch)

    def features(self, picture: Picture, places: Places) -> Features:
        """Places of a picture as features of its photo."""
        scale = picture.scale
        unit = float(scale.max()) * DELF_UNIT
        points = (places.centres[:, ::-1] + 0.5) * scale - 0.5
        sizes = places.scales * 32 * scale.max()  # px between two places; only ratios matter
        descriptors = to_int8(reduced_features(self.engine.kept, places.features) * QUANTUM)
        box = (0.0, 0.0, float(picture.width), float(picture.height))
        return Features(
            readonly(points.astype(np.float32)),
            readonly(sizes.astype(np.float32)),
            readonly(descriptors),
            box,
            unit,
            self.name,
        )


class GlobalPart(Vectors):
    """The global descriptor of DIR, GeM, EigenPlaces, DELG or a ResNet.

    It is whitened as its checkpoint says, or as the collection teaches.
    """

    def __init__(self, engine: Engine, side: int = SIDE) -> None:
        self.engine, self._side = engine, side
        self.name = engine.kept.mark
        self.max_side = side
        self.on_device = not engine.on_cpu
        self.learns = engine.kept.about.kind == "imagenet"

    @property
    def parameters(self) -> WholeParameters:
        """What the descriptor depends on."""
        from lmr.method.features.networks.delf import GLOBAL_SCALES

        about = preparation(self.engine.kept)
        scales = GLOBAL_SCALES if self.engine.kept.about.kind == "delg" else about.scales
        return WholeParameters(self.name, self._side, tuple(scales), about.power)

    def prepare(self, photo: Photo) -> Picture:
        """What the network is to see of a photo."""
        from lmr.method.features.networks import delf, gem

        kind = self.engine.kept.about.kind
        if kind == "delg":
            pixels = delf.limited(photo.pixels, self._side)[0]
        elif kind == "gem":
            pixels = gem.limited(photo.pixels, self._side)
        else:
            larger = max(photo.pixels.shape[:2]) > self._side
            pixels = gem.scaled_to(photo.pixels, self._side, largest=True) if larger else photo.pixels
        return Picture(pixels, photo.width, photo.height)

    def extract(self, batch: Sequence[Picture]) -> list[Array]:
        """The descriptor (D,) of each before whitening."""
        from lmr.method.features.networks import delf, gem

        network: GemNetwork | DelgNetwork = self.engine.network()

        def run(pictures: list[Picture]) -> list[Array]:
            pixels = [picture.pixels for picture in pictures]
            if isinstance(network, delf.DelgNetwork):
                return list(delf.describe(network, pixels, (), global_scales=delf.GLOBAL_SCALES)[1])
            return list(gem.describe(network, pixels, preparation(self.engine.kept)))

        return self.engine.each(run, batch)

    def describe(self, features: Features, raw_global: Array, model: LearnedWhitening | None) -> Array:
        """The vector (D,) float32, of length 1."""
        whitening = None if self.learns else _whitening_of(self.engine)
        if whitening is None:
            return super().describe(features, raw_global, model)
        return whitening(raw_global).astype(np.float32)


class BothParts:
    """DELG's places and global descriptor from one pass over each picture."""

    def __init__(self, local: LocalPart) -> None:
        self._local = local

    def extract(self, batch: Sequence[Picture]) -> list[tuple[Features, Array]]:
        """Local features and raw global descriptor of each."""
        from lmr.method.features.networks.delf import GLOBAL_SCALES, describe

        local, network = self._local, self._local.engine.network()

        def run(pictures: list[Picture]) -> list[tuple[Features, Array]]:
            found, whole = describe(
                network,
                [p.pixels for p in pictures],
                threshold=local._attention,
                most=local._most,
                global_scales=GLOBAL_SCALES,
            )
            return [(local.features(p, places), row) for p, places, row in zip(pictures, found, whole, strict=True)]

        return local.engine.each(run, batch)


def preparation(kept: Weights, scales: tuple[float, ...] | None = None) -> Preparation:
    """How a checkpoint's family feeds photos to its network: DIR at one scale, GeM at three, as published."""
    from lmr.method.features.networks.gem import Preparation

    usual = (1.0, ROOT2, 1 / ROOT2) if kept.about.kind == "gem" else (1.0,)
    about, power = kept.about, 3.0 if kept.about.kind == "dir" else 1.0
    return Preparation(about.mean, about.deviation, scales or usual, power)


def whitening_named(kept: Weights, arrays: dict[str, Array], name: str) -> Whitening:
    """One of the checkpoint's whitenings. Raises CheckpointError."""
    if name not in kept.about.whitenings:
        known = ", ".join(kept.about.whitenings) or "none"
        raise CheckpointError(f"{kept.name} has no whitening {name!r}; it has: {known}")
    parts = {part: arrays.get(f"whitening/{name}/{part}") for part in ("mean", "basis", "variance")}
    mean, basis, variance = (parts[part] for part in ("mean", "basis", "variance"))
    assert mean is not None and basis is not None
    epsilon = 1e-6 if kept.about.kind == "gem" else 0.0
    return Whitening(mean, basis, variance, _DIR_POWER, epsilon)


def usual_whitening(kept: Weights) -> str | None:
    """The whitening that a collection uses: DIR's of clean landmarks, cirtorch's for several scales, or the first."""
    names = kept.about.whitenings
    if _DIR_WHITENING in names:
        return _DIR_WHITENING
    return next((name for name in names if name.endswith("-ms")), names[0] if names else None)


def reduced_features(kept: Weights, features: Array) -> Array:
    """(N, D) features as the network gives them -> of length 1, by the checkpoint's PCA where it has one."""
    from lmr.method.features.networks.delf import reduced

    basis = _pca_of(kept)
    return unit_rows(features) if basis is None else reduced(features, *basis)


@functools.lru_cache(4)
def _pca_of(kept: Weights) -> tuple[Array, Array] | None:
    arrays = kept.arrays()
    return (arrays["pca/mean"], arrays["pca/basis"][:REDUCED]) if "pca/basis" in arrays else None


@functools.lru_cache(4)
def _whitening_of(engine: Engine) -> Whitening | None:
    name = usual_whitening(engine.kept)
    return None if name is None else whitening_named(engine.kept, engine.kept.arrays(), name)
