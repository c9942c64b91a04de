"""Networks that match the points of two photos: LightGlue for ALIKED and DISK, LighterGlue for XFeat. Kornia's code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lmr.method.features.networks.about import About
from lmr.method.features.networks.kornia_network import KorniaNetwork
from lmr.values import Array

_WHOLE = {"descriptor_dim": 256, "n_layers": 9, "num_heads": 4, "depth_confidence": 0.95, "width_confidence": 0.99}
_LIGHTER = {"descriptor_dim": 96, "n_layers": 6, "num_heads": 1, "depth_confidence": -1, "width_confidence": 0.95}
_FORMS = {  # said whole: a package that uses kornia changes its defaults
    "aliked": {"input_dim": 128, **_WHOLE},
    "disk": {"input_dim": 128, **_WHOLE},
    "xfeat": {"input_dim": 64, **_LIGHTER},
}
MATCHED = {kind: form["input_dim"] for kind, form in _FORMS.items()}  # local features, and the length of theirs


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """What is matched of a photo: keypoints (n, 2) px of a frame of width x height px, descriptors (n, D).

    Descriptors may be of any length: they are brought to 1.
    """

    keypoints: Array
    descriptors: Array
    width: float
    height: float


class MatchingNetwork(KorniaNetwork):
    """A matcher with its weights; call it with the points of two photos."""

    def make(self, about: About) -> Any:
        """See KorniaNetwork."""
        from kornia.feature import LightGlue

        return LightGlue(None, **_FORMS[about.architecture])  # type: ignore[arg-type]

    def called(self, about: About) -> str:
        """See KorniaNetwork."""
        return f"LightGlue for {about.architecture}"

    @torch.inference_mode()
    def __call__(self, a: Points, b: Points) -> tuple[Array, Array, Array]:
        """Rows of the points that match, (k,) in each photo, and the confidence of each, 0 to 1."""
        if min(len(a.keypoints), len(b.keypoints)) < 2:
            return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32)
        found = self._module({"image0": self._given(a), "image1": self._given(b)})
        matches, scores = found["matches"][0].cpu().numpy(), found["scores"][0].float().cpu().numpy()
        return matches[:, 0], matches[:, 1], scores

    def _given(self, points: Points) -> dict[str, torch.Tensor]:
        lengths = np.maximum(np.linalg.norm(points.descriptors, axis=1, keepdims=True), 1e-9)
        given = {
            "keypoints": points.keypoints.astype(np.float32),
            "descriptors": (points.descriptors / lengths).astype(np.float32),
            "image_size": np.array([points.width, points.height], np.float32),
        }
        return {
            name: torch.from_numpy(np.ascontiguousarray(array))[None].to(self._device) for name, array in given.items()
        }
