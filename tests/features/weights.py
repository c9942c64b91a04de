"""Checkpoints in the layouts of their authors, with weights by the parity fixture's formula."""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from lmr.values import Array


@cache
def formula(parity: Path) -> ModuleType:
    sys.path.insert(0, str(parity))
    try:
        import weights_formula
    finally:
        sys.path.remove(str(parity))
    return weights_formula


def shapes_of(listed: Path) -> dict[str, tuple[int, ...]]:
    rows = (line.split("\t")[:2] for line in listed.read_text().splitlines() if not line.startswith("#"))
    return {name: ast.literal_eval(shape) for name, shape in rows}


def state(parity: Path, listed: str) -> dict[str, Any]:
    import torch

    arrays = formula(parity).torch_state(shapes_of(parity / listed))
    return {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}


def variables(parity: Path, listed: str) -> dict[str, Array]:
    return formula(parity).tf_state(shapes_of(parity / listed))


def dir_checkpoint(parity: Path, target: Path) -> Path:
    """As naver's program saves it, with whitening in their PCA's stead."""
    import torch

    from lmr.extractors.checkpoints.torch_files import Pca

    expected = np.load(parity / "dir_expected.npz")
    pca = Pca()
    pca.whiten, pca.mean_ = True, expected["pca__mean"]
    pca.components_, pca.explained_variance_ = expected["pca__components"], expected["pca__explained_variance"]
    Pca.__module__, Pca.__qualname__, Pca.__name__ = "sklearn.decomposition.pca", "PCA", "PCA"
    modules = {name: ModuleType(name) for name in ("sklearn", "sklearn.decomposition", "sklearn.decomposition.pca")}
    modules["sklearn.decomposition.pca"].PCA = Pca
    sys.modules.update(modules)
    try:
        weights = state(parity, "dir_resnet50_rmac_state_dict.txt")
        torch.save(
            {
                "state_dict": {f"module.{name}": value for name, value in weights.items()},
                "model_options": {"arch": "resnet50_rmac", "out_dim": 2048, "pooling": "gem", "gemp": 3},
                "preprocess": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "input_size": 224},
                "pca": {"Landmarks_clean": pca},
            },
            target,
        )
    finally:
        for name in modules:
            del sys.modules[name]
        Pca.__module__, Pca.__qualname__, Pca.__name__ = "lmr.extractors.checkpoints.torch_files", "Pca", "Pca"
    return target


def gem_checkpoint(parity: Path, target: Path) -> Path:
    import torch

    meta = {"architecture": "resnet50", "pooling": "gem", "whitening": True, "regional": False, "outputdim": 2048}
    meta |= {"local_whitening": False, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "Lw": {}}
    torch.save({"meta": meta, "state_dict": state(parity, "cirtorch_resnet50_gem_w_state_dict.txt")}, target)
    return target
