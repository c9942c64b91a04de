"""Extraction: images/s and peak memory of each network, against a straightforward loop in the same run.

    python -m benchmarks.extract [--photos FOLDER] [--count N] [--side PX] [--device DEVICE] [--shared PATH]

The other way is what the original programs do: one photo after the other, decoded when its turn comes, the network in
single steps (batch normalisation apart, channels first). Weights are random, which changes no time. lmr runs as in
`lmr ingest`: on a CPU in one process a core, on a GPU in batches of one size with workers that decode. On a GPU
reduced precision is timed as well, with its distance from float32, and so is matching; what was not there is not
printed. GFLOP/s counts multiplications and additions of the convolutions.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.data import SHARED
from lmr.execution import results
from lmr.execution.local import Local
from lmr.extractors.checkpoints.store import Kept
from lmr.method.features.networks import delf, gem
from lmr.method.features.networks.about import About
from lmr.method.features.networks.build import build
from lmr.method.features.neural import BothParts, Engine, GlobalPart, LocalPart, Picture, chosen_device, preparation
from lmr.method.photos.decode import decode
from lmr.method.verification.device import PAIRS, match_all
from lmr.method.verification.matching import match, prepare
from lmr.values import Array, Features

_UNITS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}
_WINDOW = 64
_WARM = 2


@dataclass(frozen=True)
class Made(Kept):
    """A checkpoint with random weights, made anew in each process."""

    def arrays(self) -> dict[str, Array]:
        """See Kept."""
        rng = np.random.default_rng(0)
        shapes = delg_shapes(self.about.architecture) if self.about.local else gem_shapes(self.about.architecture)
        return {name: _value(rng, name, shape) for name, shape in shapes.items()}


def _value(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> Array:
    if name.endswith(("running_var", "moving_variance", "gamma", "bn1.weight", "bn2.weight", "downsample.1.weight")):
        return np.ones(shape, np.float32)
    if name.endswith("bn3.weight"):
        return np.full(shape, 0.2, np.float32)
    if len(shape) < 2:
        return np.full(shape, 3.0 if name.endswith(".p") else 0.01, np.float32)
    fan_in = int(np.prod(shape)) / (shape[-1] if shape[-1] > 7 or "kernel" in name else shape[0])
    return (rng.standard_normal(shape) * np.sqrt(1 / fan_in)).astype(np.float32)


def gem_shapes(architecture: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of DIR's network."""
    import torchvision

    whole = getattr(torchvision.models, architecture)(weights=None).state_dict()
    shapes = {name: tuple(v.shape) for name, v in whole.items() if not name.endswith("num_batches_tracked")}
    return {**shapes, "fc.weight": (2048, 2048), "fc.bias": (2048,), "adpool.p": (1,)}


def delg_shapes(architecture: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of DELG's network, with an autoencoder of 128."""
    shapes: dict[str, tuple[int, ...]] = {}

    def layer(name: str, norm: str | None, size: int, inputs: int, outputs: int) -> None:
        shapes[f"{name}/kernel"], shapes[f"{name}/bias"] = (size, size, inputs, outputs), (outputs,)
        for part in ("gamma", "beta", "moving_mean", "moving_variance") if norm else ():
            shapes[f"{norm}/{part}"] = (outputs,)

    root = "_model/backbone"
    layer(f"{root}/conv1", f"{root}/bn_conv1", 7, 3, 64)
    inputs = 64
    for block, (width, units) in enumerate(zip((64, 128, 256, 512), _UNITS[architecture], strict=True), 2):
        for unit in range(units):
            name = f"{root}/l{block}{chr(ord('a') + unit)}"
            if unit == 0:
                layer(f"{name}/conv_shortcut", f"{name}/bn_shortcut", 1, inputs, 4 * width)
            layer(f"{name}/conv2a", f"{name}/bn2a", 1, inputs, width)
            layer(f"{name}/conv2b", f"{name}/bn2b", 3, width, width)
            layer(f"{name}/conv2c", f"{name}/bn2c", 1, width, 4 * width)
            inputs = 4 * width
    layer("_model/attention/conv1", "_model/attention/bn_conv1", 1, 1024, 512)
    layer("_model/attention/conv2", None, 1, 512, 1)
    layer("_model/autoencoder/conv1", None, 1, 1024, 128)
    layer("_model/autoencoder/conv2", None, 1, 128, 1024)
    shapes[f"{root}/embedding_layer/kernel"], shapes[f"{root}/embedding_layer/bias"] = (2048, 2048), (2048,)
    return shapes


def networks() -> dict[str, Kept]:
    """What is timed, by name."""
    return {
        name: Made(name, about, name, {}, Path(name))
        for name, about in (
            ("dir resnet50", About("dir", "resnet50", whole=True, linear=True)),
            ("dir resnet101", About("dir", "resnet101", whole=True, linear=True)),
            ("delf resnet50", About("delf", "resnet50", local=True)),
            ("delg resnet50", About("delg", "resnet50", local=True, whole=True)),
        )
    }


@functools.lru_cache(1)
def _parts(kept: Kept, side: int, device: str) -> Any:
    """What prepares and finishes photos."""
    engine = Engine(kept, device)
    if kept.about.kind == "delg":
        local = LocalPart(engine, side)
        return local, BothParts(local)
    part = LocalPart(engine, side) if kept.about.local else GlobalPart(engine, side)
    return part, part


def _prepared(kept: Kept, side: int, path: Path) -> Picture:
    return _parts(kept, side, "cpu")[0].prepare(decode(path.read_bytes(), max_pixels=10**9, min_side=1, enough=side))


def _whole(kept: Kept, side: int, path: Path) -> None:
    _parts(kept, side, "cpu")[1].extract([_prepared(kept, side, path)])


def straightforward(kept: Kept, paths: list[Path], side: int, device: str) -> tuple[float, float]:
    """Seconds, and GFLOP of all: one after the other, in single steps."""
    network = build(kept.about, kept.arrays(), exact=True)
    network.to(chosen_device(device))
    part = _parts(kept, side, device)[0]

    def one(path: Path) -> None:
        picture = part.prepare(decode(path.read_bytes(), max_pixels=10**9, min_side=1, enough=1 << 20))
        if isinstance(network, gem.GemNetwork):
            gem.describe(network, [picture.pixels], preparation(kept))
            return
        delf.describe(network, [picture.pixels])
        if kept.about.kind == "delg":  # their extractor runs the network again for the global descriptor
            delf.describe(network, [picture.pixels], (), global_scales=delf.GLOBAL_SCALES)

    for path in paths[:_WARM]:
        one(path)
    begin = time.perf_counter()
    for path in paths:
        one(path)
    seconds = time.perf_counter() - begin
    with FlopCounterMode(display=False) as counter:
        one(paths[0])
    return seconds, counter.get_total_flops() / 1e9


def ours(kept: Kept, paths: list[Path], side: int, device: str) -> float:
    """Seconds of lmr's way."""
    count = len(psutil.Process().cpu_affinity() or [0])
    if chosen_device(device).type == "cpu":
        whole = functools.partial(_whole, kept, side)
        with Local(count) as executor:
            deque(results(executor, whole, paths[: 2 * count]), 0)  # networks are loaded
            begin = time.perf_counter()
            deque(results(executor, whole, paths), 0)
            return time.perf_counter() - begin
    finish = _parts(kept, side, device)[1].finish
    prepared = functools.partial(_prepared, kept, side)
    with Local(count) as executor:
        finish([picture for _, picture in results(executor, prepared, paths[:_WINDOW])])
        begin = time.perf_counter()
        for window in _windows(picture for _, picture in results(executor, prepared, paths)):
            finish(window)
        return time.perf_counter() - begin


def _windows(pictures: Iterator[Any]) -> Iterator[list[Any]]:
    while window := list(itertools.islice(pictures, _WINDOW)):
        yield window


def with_peak(run: Callable[..., Any], *rest: Any) -> tuple[Any, float]:
    """What it returns in a process of its own, and the most memory (MB) that process and its workers held."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=_answer, args=(answers, run, rest))
    process.start()
    peak = 0.0
    while process.is_alive():
        try:
            own = psutil.Process(process.pid)
            peak = max(peak, sum(p.memory_info().rss for p in [own, *own.children(recursive=True)]) / 1e6)
        except psutil.Error:
            pass
        process.join(0.05)
    return answers.get(), peak


def _answer(answers: Any, run: Callable[..., Any], rest: tuple[Any, ...]) -> None:
    answers.put(run(*rest))


def precision(kept: Kept, paths: list[Path], side: int, device: torch.device) -> None:
    """Print time and distance of reduced precision on a GPU."""
    part = _parts(kept, side, str(device))[0]
    photos = [decode(path.read_bytes(), max_pixels=10**9, min_side=1, enough=side) for path in paths[:16]]
    pixels = [part.prepare(photo).pixels for photo in photos]
    same = [picture for picture in pixels if picture.shape == pixels[0].shape] * 8
    found: dict[str, tuple[Array, float]] = {}
    for name, kind in (("float32", torch.float32), ("bfloat16", torch.bfloat16), ("float16", torch.float16)):
        network = build(kept.about, kept.arrays())
        network.to(device, kind)
        assert isinstance(network, gem.GemNetwork)
        gem.describe(network, same, preparation(kept))
        torch.cuda.synchronize()
        begin = time.perf_counter()
        vectors = gem.describe(network, same, preparation(kept))
        torch.cuda.synchronize()
        found[name] = vectors, len(same) / (time.perf_counter() - begin)
    for name, (vectors, rate) in found.items():
        cosine = (vectors * found["float32"][0]).sum(1).min()
        print(f"  {name:9} {rate:8.1f} images/s, least cosine with float32 {cosine:.6f}")


def matching(device: torch.device) -> None:
    """Print pairs/s of matching 1,000 x 1,000 x 40 features on a GPU, and on one core."""
    rng = np.random.default_rng(0)
    photos = []
    for _ in range(64):
        places, sizes = rng.uniform(0, 600, (1000, 2)).astype(np.float32), np.ones(1000, np.float32)
        values = rng.integers(-60, 61, (1000, 40)).astype(np.int8)
        photos.append(prepare(Features(places, sizes, values, (0.0, 0.0, 640.0, 640.0), 1.0, "made")))
    pairs = list(itertools.combinations(photos, 2))[: 4 * PAIRS]
    match_all(pairs[:PAIRS], device)
    begin = time.perf_counter()
    match_all(pairs, device)
    there = len(pairs) / (time.perf_counter() - begin)
    match(*pairs[0])
    begin = time.perf_counter()
    for pair in pairs[:200]:
        match(*pair)
    here = 200 / (time.perf_counter() - begin)
    print(f"matching 1,000 x 1,000 x 40: {there:.0f} pairs/s on {device}, {here:.0f} on one core")


def main() -> None:
    """Time every network both ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=SHARED / "photos" / "images")
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--side", type=int, default=640)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    paths = sorted(options.photos.glob("*.jpg"))
    paths = paths[:: max(1, len(paths) // options.count)][: options.count]
    if not paths:
        raise SystemExit(f"no photos in {options.photos}; name a folder with --photos")
    device = chosen_device(options.device)
    print(f"{len(paths)} photos of at most {options.side} px on {device}, {torch.get_num_threads()} threads")
    print(f"{'network':15} {'plain':>10} {'lmr':>10} {'ratio':>6} {'GFLOP/s':>8} {'plain MB':>9} {'lmr MB':>7}")
    for name, kept in networks().items():
        (plain, flop), plain_peak = with_peak(straightforward, kept, paths, options.side, options.device)
        own, own_peak = with_peak(ours, kept, paths, options.side, options.device)
        rates = len(paths) / plain, len(paths) / own
        print(
            f"{name:15} {rates[0]:8.2f}/s {rates[1]:8.2f}/s {rates[1] / rates[0]:5.2f}x"
            f" {flop * rates[1]:8.0f} {plain_peak:9.0f} {own_peak:7.0f}",
            flush=True,
        )
        if device.type == "cuda" and kept.about.kind == "dir":
            precision(replace(kept), paths, options.side, device)
    if device.type == "cuda":
        matching(device)


if __name__ == "__main__":
    main()
