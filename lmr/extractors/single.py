"""The features of one photo as arrays, rounded as the original programs round: for people who want these alone."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lmr.errors import UsageError
from lmr.extractors.checkpoints.needed import need
from lmr.extractors.checkpoints.store import Kept, Store
from lmr.method.features.any_network import AnyNetwork
from lmr.method.features.neural import (
    QUANTUM,
    chosen_device,
    preparation,
    reduced_features,
    usual_whitening,
    whitening_named,
)
from lmr.method.photos.decode import decode, read
from lmr.settings import Settings
from lmr.values import Array, to_int8

_EVERY_PIXEL = 1 << 20  # longer side that no photo has


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to compute. local, whole: a checkpoint of the store, its kind, or one of `weights`; empty: not wanted.

    side: the longer side is reduced to so many px; 0: never. scales: of the local features; global_scales: of the
    global descriptor; empty: as published. most: features; threshold: the least attention.
    """

    local: str = ""
    whole: str = ""
    weights: Sequence[Path] = ()
    side: int = 0
    scales: tuple[float, ...] = ()
    global_scales: tuple[float, ...] = ()
    most: int = 1000
    threshold: float = 0.0
    whitening: str = ""
    float32: bool = False


def features_of(path: Path, wanted: Wanted, settings: Settings) -> dict[str, Array]:
    """Arrays by name, all coordinates in px of the upright photo.

    size (2,) width, height. Local: locations (N, 2) y, x; boxes (N, 4) y1, x1, y2, x2; scales (N,), 1 at the picture's
    own size; attention (N,), best first; features (N, D) as the network gives them; descriptors (N, d) after length 1
    and PCA, of length 1, or int8 to be divided by `quantum`. Global: global_raw (D,) and global (d,), before and after
    whitening, of length 1. Raises PhotoError, CheckpointError, UsageError.
    """
    if not wanted.local and not wanted.whole:
        raise UsageError("nothing is wanted: name --local, --global or both")
    data = read(path, settings.max_bytes)
    photo = decode(data, enough=_EVERY_PIXEL, **settings.decoding)
    found = {"size": np.array([photo.width, photo.height])}
    with tempfile.TemporaryDirectory(prefix="lmr-features-") as made:
        given = Store(Path(made))
        for file in wanted.weights:
            given.add(file)
        if wanted.local:
            found |= _local(photo.pixels, _find(wanted.local, given, settings), wanted, settings.device)
        if wanted.whole:
            found |= _global(photo.pixels, _find(wanted.whole, given, settings), wanted, settings.device)
    return found


def _find(what: str, given: Store, settings: Settings) -> Kept:
    """Among the files that were given first, then in the user's store."""
    kept = next((one for one in given.all() if what in (one.name, one.about.kind)), None)
    kept = kept or Store.of(settings).find(what)
    if kept.about.kind != "onnx":
        need(kept.name, "deep", "torch")
    if kept.about.local and kept.about.kind not in ("delf", "delg"):
        raise UsageError(
            f"{kept.name} is of {kept.about.kind}: of local features those of DELF and DELG can be written"
        )
    return kept


def _local(pixels: Array, kept: Kept, wanted: Wanted, device: str) -> dict[str, Array]:
    from lmr.method.features.networks.build import build
    from lmr.method.features.networks.delf import SCALES, DelfNetwork, DelgNetwork, describe, limited

    network = build(kept.about, kept.arrays(), exact=True)
    if not isinstance(network, DelfNetwork | DelgNetwork):
        raise UsageError(f"{kept.name} describes whole photos: name it with --global")
    network.to(chosen_device(device))
    picture, factors = limited(pixels, wanted.side or None)
    scales = wanted.scales or SCALES
    (places,), _ = describe(network, [picture], scales, wanted.threshold, wanted.most)
    reduced = reduced_features(kept, places.features)
    found = {
        "locations": places.centres / factors,
        "boxes": places.boxes / np.tile(factors, 2),
        "scales": places.scales,
        "attention": places.attention,
        "features": places.features,
        "descriptors": reduced if wanted.float32 else to_int8(reduced * QUANTUM),
    }
    return found if wanted.float32 else {**found, "quantum": np.array(QUANTUM, np.float32)}


def _global(pixels: Array, kept: Kept, wanted: Wanted, device: str) -> dict[str, Array]:
    from lmr.method.features.networks import delf, gem
    from lmr.method.features.networks.build import build

    if kept.about.kind == "onnx":
        whole = AnyNetwork(kept)
        (raw,) = whole.extract([whole.seen(pixels)])
        return {"global_raw": raw, "global": raw}
    arrays = kept.arrays()
    network = build(kept.about, arrays, exact=True)
    network.to(chosen_device(device))
    if isinstance(network, gem.GemNetwork):
        if wanted.side and kept.about.kind == "gem":
            pixels = gem.limited(pixels, wanted.side)
        elif wanted.side and max(pixels.shape[:2]) > wanted.side:
            pixels = gem.scaled_to(pixels, wanted.side, largest=True)
        raw = gem.describe(network, [pixels], preparation(kept, wanted.global_scales))[0]
    elif isinstance(network, delf.DelgNetwork) and network.describes_whole:
        picture, _ = delf.limited(pixels, wanted.side or None)
        raw = delf.describe(network, [picture], (), global_scales=wanted.global_scales or delf.GLOBAL_SCALES)[1][0]
    else:
        raise UsageError(f"{kept.name} describes places only: name it with --local")
    name = wanted.whitening or usual_whitening(kept)
    whitened = raw if name is None else whitening_named(kept, arrays, name)(raw).astype(np.float32)
    return {"global_raw": raw, "global": whitened}
