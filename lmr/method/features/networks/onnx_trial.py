"""The process in which a network that was just added is tried: it may use up what it has been given, and nothing more.

Called with the recipe as JSON and seconds; the file comes on stdin, the answer leaves on stdout as JSON.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator

import numpy as np

from lmr.errors import CheckpointError
from lmr.method.features.networks.onnx_network import OnnxNetwork
from lmr.method.features.networks.recipe import Recipe
from lmr.values import Array

_MEMORY, _MEMORY_A_BYTE = 6 * 2**30, 6  # of the file: it is read, parsed, and packed for the processor
_SAME = 1e-6  # by which two vectors of length 1 differ at least, of pictures that share nothing
_MOST_NUMBERS = 32768


def main() -> None:
    """Answer the dimensions of its vectors, or the reason why it cannot be used."""
    data = sys.stdin.buffer.read()
    _limit(int(sys.argv[2]), len(data))
    try:
        answer: dict[str, object] = {"dimensions": tried(Recipe.from_json(json.loads(sys.argv[1])), data)}
    except CheckpointError as error:
        answer = {"reason": str(error)}
    except MemoryError:
        answer = {"reason": "it needs more memory than such a network may"}
    print(json.dumps(answer))


def tried(recipe: Recipe, model: bytes) -> int:
    """Dimensions of its vectors. Raises CheckpointError where they are of no use."""
    network = OnnxNetwork(recipe, model)
    noise, shades, upright = (recipe.picture(photo) for photo in _photos())
    first, again, other, last = (network(picture) for picture in (noise, noise, shades, upright))
    if not first.shape == other.shape == last.shape or not 2 <= len(first) <= _MOST_NUMBERS:
        raise CheckpointError(f"it gives {len(first)}, {len(other)} and {len(last)} numbers of three photos")
    if not all(vector.any() for vector in (first, other, last)):
        raise CheckpointError("it gives nothing but zeros")
    if first.tobytes() != again.tobytes():
        raise CheckpointError("it gives another vector each time it sees the same picture")
    if np.abs(first - other).max() < _SAME:
        raise CheckpointError("it gives the same vector whatever it sees")
    return len(first)


def _photos() -> Iterator[Array]:
    """(H, W, 3) uint8: noise and shades of a usual shape, and the noise upright."""
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
    rows, columns = np.linspace(0, 255, 480)[:, None], np.linspace(0, 255, 640)[None]
    yield noise
    yield np.stack(np.broadcast_arrays(rows, columns, (rows + columns) / 2), axis=2).astype(np.uint8)
    yield noise.transpose(1, 0, 2)


def _limit(seconds: int, size: int) -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows has none, macOS does not keep to all
        import resource

        limits = {"RLIMIT_CPU": seconds, "RLIMIT_AS": _MEMORY + _MEMORY_A_BYTE * size}
        limits |= {"RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0}
        for name, most in limits.items():
            kind = getattr(resource, name)
            hard = resource.getrlimit(kind)[1]
            resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
