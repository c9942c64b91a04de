"""Checkpoints of PyTorch, in today's layout and that of 2019, through PyTorch's own restricted unpickler."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.serialization import safe_globals

from lmr.errors import CheckpointError


class Pca:
    """Stands in for scikit-learn's PCA, whose attributes it takes and which it cannot run."""


def load(path: Path) -> Any:
    """The value in a file of torch.save. Raises CheckpointError; nothing of the file is ever executed."""
    _refuse_bombs(path)
    try:
        with safe_globals(_known()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises nearly anything
        reason = str(error).split("WeightsUnpickler error: ")[-1].split("\n")[0]
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint: {reason} (nothing of it was executed)"
        ) from error


def _known() -> list[Any]:
    """Names beside PyTorch's own: NumPy's arrays and scikit-learn's PCA, under old and new modules."""
    array, scalar = np.empty(0).__reduce__()[0], np.float64(0).__reduce__()[0]
    names: list[Any] = [np.ndarray, np.dtype]
    names += sorted({type(np.dtype(k)) for k in "?bBhHiIlLqQefdSU"}, key=str)
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        names += [(array, f"{module}._reconstruct"), (scalar, f"{module}.scalar")]
    names += [(Pca, f"sklearn.decomposition.{module}.PCA") for module in ("pca", "_pca")]
    return names


def _refuse_bombs(path: Path) -> None:
    """torch.save never compresses, so a compressed file is not its own, and may become any size."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise CheckpointError(f"{path} is a compressed archive, which torch.save does not make")
