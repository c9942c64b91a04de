"""Reading pickles of other programs without executing anything."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from lmr.errors import UsageError

_KNOWN: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("multiarray", "scalar"): np.float64(0).__reduce__()[0],
    ("numeric", "_frombuffer"): np.empty(0).__reduce_ex__(5)[0],
}


def _latin_1(text: str, encoding: str = "latin1") -> bytes:
    """How the second protocol spells bytes."""
    return text.encode("latin1")


class _Plain(pickle.Unpickler):
    """Knows lists, dicts, numbers, text, and NumPy's arrays; every other name ends the reading."""

    def find_class(self, module: str, name: str) -> Any:
        """The few harmless names; NumPy's old and new module paths are one."""
        if (module, name) == ("_codecs", "encode"):
            return _latin_1
        last = module.rsplit(".", 1)[-1]
        if module.split(".")[0] == "numpy" and (last, name) in _KNOWN:
            return _KNOWN[last, name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def load_plain_pickle(data: bytes, path: Path) -> Any:
    """The value in a pickle of plain data. Raises UsageError where it is damaged or asks for anything else."""
    try:
        return _Plain(io.BytesIO(data)).load()
    except Exception as error:  # a damaged pickle raises nearly anything
        raise UsageError(f"{path} cannot be read as plain data ({error}); nothing of it was executed") from error
