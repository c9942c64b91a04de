"""What networks whose code is kornia's have in common: weights that are kept, and a device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from lmr.errors import CheckpointError, UsageError
from lmr.method.features.networks.about import About
from lmr.values import Array

_COMPUTED = ("num_batches_tracked", "hw_grid", "normalizer", "confidence_thresholds")  # buffers that are no weights


class KorniaNetwork:
    """A module of kornia, made by `make` without weights. Raises UsageError where kornia is not installed."""

    def __init__(self, about: About, arrays: Mapping[str, Array]) -> None:
        try:
            import kornia.feature  # noqa: F401
        except ImportError as error:
            raise UsageError(f"{about.kind!r} needs kornia: install lmr with its extra `learned`") from error
        self._module = self.make(about)
        _load(self.weighed(self._module), self.called(about), arrays)
        self._module.eval()
        self._device = torch.device("cpu")

    def make(self, about: About) -> Any:
        """The module, with any weights."""
        raise NotImplementedError

    def weighed(self, module: Any) -> nn.Module:
        """The part of it that has the weights."""
        found: nn.Module = module
        return found

    def called(self, about: About) -> str:
        """What its weights are of, for people."""
        return about.architecture

    def to(self, device: torch.device) -> None:
        """Move it there."""
        self._module.to(device)
        self._device = device


def _load(module: nn.Module, called: str, arrays: Mapping[str, Array]) -> None:
    """Give a module its weights. Raises CheckpointError where they are not those of such a network."""
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    try:
        missing, unknown = module.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise CheckpointError(f"these are no weights of {called}: {str(error).splitlines()[-1]}") from error
    lacking = [name for name in missing if not any(part in name for part in _COMPUTED)]
    if lacking or unknown:
        told = f"it lacks {lacking[0]}" if lacking else f"{unknown[0]} is unknown"
        raise CheckpointError(f"these are no weights of {called}: {told}")
