"""What weights of learned local features and of matchers are, told by the names and shapes of their arrays."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from lmr.errors import CheckpointError
from lmr.method.features.networks.about import About
from lmr.method.features.networks.matchers import MATCHED
from lmr.values import Array

_ALIKED = {(8, 16): "aliked-t16", (16, 16): "aliked-n16", (16, 32): "aliked-n32"}  # first channels, sampled places
_TELLING = {  # of which each has all
    "aliked": ("block1.conv1.weight", "desc_head.agg_weights", "score_head.0.weight"),
    "disk": ("unet.path_down.0.1.3.weight", "unet.path_up.0.conv.1.weight"),
    "xfeat": ("block_fusion.2.weight", "heatmap_head.2.weight", "keypoint_head.3.weight"),
    "dedode": ("detector.encoder.layers.0.weight", "descriptor.encoder.layers.0.weight"),
    "keynet": ("detector.model.last_conv.0.weight", "descriptor.descriptor.features.0.weight"),
}
_ARCHITECTURES = {"disk": "disk", "xfeat": "xfeat", "dedode": "dedode-LB", "keynet": "keynet-affnet-hardnet"}


def points_of(value: Mapping[str, Any]) -> tuple[About, dict[str, Array]] | None:
    """What a checkpoint holds, and its arrays, if it is one of local features; DISK's authors put it into a dict."""
    inner = value.get("extractor")
    state = inner if isinstance(inner, dict) else value
    for kind, telling in _TELLING.items():
        if all(name in state for name in telling):
            arrays = arrays_of(state)
            about = About(kind, _ARCHITECTURES.get(kind) or _aliked(arrays), local=True)  # type: ignore[arg-type]
            return about, arrays
    return None


def matcher_of(value: Mapping[str, Any], called: str) -> tuple[About, dict[str, Array]] | None:
    """The same of LightGlue. Of those for features of one length their name tells for which they are."""
    renamed = {_as_kornia_has_it(str(name)): tensor for name, tensor in value.items()}
    state = {name: tensor for name, tensor in renamed.items() if not _NO_PART.match(name)}
    if "transformers.0.self_attn.Wqkv.weight" not in state:
        return None
    arrays = arrays_of(state)
    length = arrays["input_proj.weight"].shape[1] if "input_proj.weight" in arrays else 256
    fitting = [kind for kind, own in MATCHED.items() if own == length]
    named = [kind for kind in fitting if kind in called.lower()]
    if len(named) != 1 and len(fitting) != 1:
        raise CheckpointError(
            f"{called} is a LightGlue for descriptors of {length} numbers: --name says for which features, such as "
            "aliked_lightglue (known are " + ", ".join(MATCHED) + ")"
        )
    return About("lightglue", (named or fitting)[0]), arrays


_NO_PART = re.compile(r"extractor\.|log_assignment\.\d+\.r$")  # what stands beside, or is not used any more


def _as_kornia_has_it(name: str) -> str:
    """The name of an array of LightGlue, which its authors called otherwise at first."""
    name = name.removeprefix("matcher.")
    part, _, rest = name.partition(".")
    if part in ("self_attn", "cross_attn"):
        layer, _, rest = rest.partition(".")
        return f"transformers.{layer}.{part}.{rest}"
    return name


def _aliked(arrays: Mapping[str, Array]) -> str:
    sizes = len(arrays["block1.conv1.weight"]), len(arrays["desc_head.agg_weights"])
    if sizes not in _ALIKED:
        raise CheckpointError(f"an ALIKED of {sizes[0]} channels and {sizes[1]} places is not known")
    return _ALIKED[sizes]


def arrays_of(state: Mapping[str, Any]) -> dict[str, Array]:
    """A state_dict as float32 arrays, without the prefix of parallel training."""
    try:
        tensors = {str(name).removeprefix("module."): tensor for name, tensor in state.items()}
        return {
            name: np.ascontiguousarray(tensor.detach().float().numpy())
            for name, tensor in tensors.items()
            if not name.endswith("num_batches_tracked")
        }
    except (AttributeError, RuntimeError, TypeError) as error:
        raise CheckpointError(f"its state_dict holds something else than tensors: {error}") from error
