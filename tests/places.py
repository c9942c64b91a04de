"""Photos of made places that take no time to make: patterns of noise, each seen from two sides."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def make_place(folder: Path, name: str) -> tuple[Path, Path]:
    """Two photos of one place, `NAME-1.jpg` and `NAME-2.jpg`, of which the second shows a part, turned a little."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    pattern = Image.fromarray(rng.integers(0, 255, (36, 48, 3), dtype=np.uint8))
    whole = pattern.resize((480, 360), Image.Resampling.BICUBIC)
    paths = folder / f"{name}-1.jpg", folder / f"{name}-2.jpg"
    whole.save(paths[0], quality=90)
    whole.rotate(4).crop((36, 24, 444, 336)).save(paths[1], quality=90)
    return paths
