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
    _refuse_archives(path)
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


def load_safetensors(path: Path) -> dict[str, Any]:
    """Tensors by name of a file in safetensors, which holds nothing but numbers. Raises CheckpointError."""
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except Exception as error:  # a damaged file raises nearly anything
        raise CheckpointError(f"{path} cannot be read as safetensors: {error}") from error


def _refuse_archives(path: Path) -> None:
    """Refuse programs, and what is compressed.

    TorchScript runs whatever it holds; torch.export.load falls back on a full unpickler and evaluates expressions, as
    its own documentation warns. torch.save never compresses, so a compressed file may become any size.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        inside = {name.partition("/")[2] for name in archive.namelist()}
        exported = "archive_format" in inside or any(
            name.endswith("serialized_exported_program.json") for name in inside
        )
        script = any(name.startswith("code/") or name == "constants.pkl" for name in inside)
        if exported or script or path.suffix == ".pt2":
            form = "TorchScript" if script and not exported else "a program of torch.export"
            raise CheckpointError(
                f"{path} is {form}: loading it may run anything, so it is never opened; export the network to ONNX "
                "(docs/networks.md shows how)"
            )
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise CheckpointError(f"{path} is a compressed archive, which torch.save does not make")
