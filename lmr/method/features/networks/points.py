"""Networks of local features: ALIKED, DISK, XFeat, DeDoDe, and KeyNet with AffNet and HardNet. The code is kornia's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lmr.method.features.networks.about import About
from lmr.method.features.networks.kornia_network import KorniaNetwork
from lmr.values import Array

MOST = 2000  # points of one picture


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """What a network finds in one picture, strongest first.

    keypoints (n, 2) x, y px, a pixel's centre has whole coordinates; scores (n,); descriptors (n, D) float32; sizes
    (n,) px, None where the network tells none.
    """

    keypoints: Array
    scores: Array
    descriptors: Array
    sizes: Array | None = None


class PointNetwork(KorniaNetwork):
    """A network with its weights; call it with pictures (h, w, 3) uint8 of one size."""

    def __init__(self, about: About, arrays: Mapping[str, Array]) -> None:
        self._make, self._read = _FAMILIES[about.kind]
        super().__init__(about, arrays)

    def make(self, about: About) -> Any:
        """See KorniaNetwork."""
        return self._make(about.architecture)

    def weighed(self, module: Any) -> nn.Module:
        """See KorniaNetwork: XFeat is no module itself."""
        found: nn.Module = getattr(module, "net", module)
        return found

    @torch.inference_mode()
    def __call__(self, pictures: Sequence[Array]) -> list[Points]:
        """The strongest points of each picture."""
        batch = torch.from_numpy(np.stack(pictures)).to(self._device).permute(0, 3, 1, 2).float() / 255
        return [_sorted(found) for found in self._read(self._module, batch)]


Found = tuple[Tensor, Tensor, Tensor, Tensor | None]  # keypoints, scores, descriptors, sizes
_Family = tuple[Callable[[str], Any], Callable[[Any, Tensor], list[Found]]]


def _sorted(found: Found) -> Points:
    order = torch.argsort(found[1], descending=True, stable=True)[:MOST]
    keypoints, scores, descriptors, sizes = (None if p is None else p[order].float().cpu().numpy() for p in found)
    assert keypoints is not None and scores is not None and descriptors is not None
    return Points(keypoints, scores, descriptors, sizes)


def _aliked(architecture: str) -> nn.Module:
    from kornia.feature import ALIKED

    return ALIKED(architecture, max_num_keypoints=MOST, detection_threshold=-1)


def _of_aliked(module: Any, batch: Tensor) -> list[Found]:
    return [(one.keypoints, one.keypoint_scores, one.descriptors, None) for one in module(batch)]


def _disk(architecture: str) -> nn.Module:
    from kornia.feature import DISK

    return DISK()


def _of_disk(module: Any, batch: Tensor) -> list[Found]:
    found = module(batch, n=MOST, pad_if_not_divisible=True)
    return [(one.keypoints, one.detection_scores, one.descriptors, None) for one in found]


def _xfeat(architecture: str) -> nn.Module:
    from kornia.feature import XFeat

    return XFeat(top_k=MOST)


def _of_xfeat(module: Any, batch: Tensor) -> list[Found]:
    """kornia resizes to multiples of 32 px, and scales places back from their pixel's corner, not its centre."""
    height, width = batch.shape[2:]
    inside = torch.tensor([max(32, width // 32 * 32), max(32, height // 32 * 32)], device=batch.device)
    shift = (torch.tensor([width, height], device=batch.device) / inside - 1) / 2
    found = module.detectAndCompute(batch)
    return [(one["keypoints"] + shift, one["scores"], one["descriptors"], None) for one in found]


def _dedode(architecture: str) -> nn.Module:
    from kornia.feature import DeDoDe

    return DeDoDe("L", "B", torch.float32)


def _of_dedode(module: Any, batch: Tensor) -> list[Found]:
    keypoints, scores, descriptors = module(batch, n=MOST)
    return [
        (*one, None) for one in zip(keypoints - 0.5, scores, nn.functional.normalize(descriptors, dim=2), strict=True)
    ]


def _keynet(architecture: str) -> nn.Module:
    from kornia.feature import HardNet, KeyNetDetector, LAFAffNetShapeEstimator, LAFDescriptor, LocalFeature

    shape = LAFAffNetShapeEstimator(False, preserve_orientation=False)
    detector = KeyNetDetector(False, num_features=MOST, aff_module=shape)  # points stay upright
    return LocalFeature(detector, LAFDescriptor(HardNet(False)))


def _of_keynet(module: Any, batch: Tensor) -> list[Found]:
    from kornia.color import rgb_to_grayscale
    from kornia.feature import get_laf_center, get_laf_scale

    found: list[Found] = []
    for picture in rgb_to_grayscale(batch):
        frames, scores, descriptors = (part[0] for part in module(picture[None]))
        sizes = get_laf_scale(frames[None])[0, :, 0, 0]
        filled = scores > 0  # kornia fills up with empty frames where there are fewer points
        centres = get_laf_center(frames[None])[0]
        found.append((centres[filled], scores[filled], descriptors[filled], 2 * sizes[filled]))
    return found


_FAMILIES: dict[str, _Family] = {
    "aliked": (_aliked, _of_aliked),
    "disk": (_disk, _of_disk),
    "xfeat": (_xfeat, _of_xfeat),
    "dedode": (_dedode, _of_dedode),
    "keynet": (_keynet, _of_keynet),
}
KINDS = tuple(_FAMILIES)
