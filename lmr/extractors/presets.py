"""Presets by name: a name, or LOCAL+GLOBAL, where LOCAL may be several with commas between.

A part that is a network may name its checkpoint after a colon, as in `delf:delf_gld_20190411+dir` or
`rootsift+onnx:mine`. How to add an extractor: docs/extractors.md.
"""

from __future__ import annotations

from lmr.errors import UsageError
from lmr.extractors.registry import global_descriptor, local_features
from lmr.method.features.preset import Preset
from lmr.settings import Settings

PRESETS = {"classic": "rootsift+vlad", "dir-delf": "delf+dir", "gem-delf": "delf+gem", "delg": "delg+delg"}
PRESETS |= {name: f"{name}+vlad" for name in ("aliked", "disk", "xfeat")}
PRESETS |= {"learned": "rootsift,xfeat+vlad", "learned-gpu": "rootsift,aliked+vlad"}
PRESETS |= {"eigenplaces": "rootsift+eigenplaces"}
_ANY = {"megaloc": "megaloc", "dinov2": "dinov2-base", "siglip": "siglip-base-224"}  # networks in ONNX
PRESETS |= {name: f"rootsift+onnx:{checkpoint}" for name, checkpoint in _ANY.items()}


def preset(name: str, settings: Settings = Settings()) -> Preset:
    """The preset of that name. Raises UsageError, and CheckpointError where a network's weights are not at hand."""
    local, plus, whole = PRESETS.get(name, name).partition("+")
    if not plus or not local or not whole:
        raise UsageError(f"there is no preset {name!r}; there are: {', '.join(PRESETS)}, or LOCAL+GLOBAL")
    return Preset.of(name, local_features(local, settings), global_descriptor(whole, settings))
