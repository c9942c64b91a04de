"""Where the benchmarks' data lie, and how times are printed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

SHARED = Path(os.environ.get("LMR_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def percentiles(seconds: Sequence[float]) -> str:
    """Median, p95 and greatest, in ms."""
    values = 1000 * np.percentile(seconds, [50, 95, 100])
    return f"median {values[0]:.1f} ms, p95 {values[1]:.1f} ms, max {values[2]:.1f} ms"
