"""Diffusion on a graph, to hold the spanning forest against (Iscen et al., 2017)."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix, diags, identity
from scipy.sparse.linalg import cg

from lmr.values import Array

ALPHA = 0.99
_ROUNDS = 30


class Diffusion:
    """Random walks with restart on a symmetric weighted graph (N, N)."""

    def __init__(self, graph: csr_matrix, alpha: float = ALPHA) -> None:
        degree = np.asarray(graph.sum(1)).ravel()
        scale = diags(1 / np.sqrt(np.maximum(degree, 1e-12)))
        self._system = identity(graph.shape[0], format="csr") - alpha * (scale @ graph @ scale)

    def __call__(self, start: Array) -> Array:
        """(N,) weights of where walks start -> (N,) how much of them arrives."""
        found, _ = cg(self._system, start, rtol=1e-6, maxiter=_ROUNDS)
        return found
