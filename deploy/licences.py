"""All that lmr installs with its extras, under which licences: `python -m deploy.licences [--sbom FILE]`.

The table tells what the packages of this environment say of themselves. The SBOM (CycloneDX 1.6) is that of
cyclonedx-py, with the development tools left out and the server jars put in.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lmr.local.jars import pinned

ROOT = Path(__file__).parents[1]
PERMISSIVE = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0",
    "CC0-1.0", "ISC", "MIT", "MIT-CMU", "PSF-2.0", "Python-2.0", "Zlib",
}  # fmt: skip
_SPDX = {  # what packages write that do not name their licence as SPDX does
    r"Apache( Software License|[ -]2\.0)": "Apache-2.0",
    r"BSD License|Dual License": "BSD",  # what python-dateutil calls Apache-2.0 and BSD, as its classifiers say
    r"3-Clause BSD License": "BSD-3-Clause",
    r"GNU General Public License v2 \(GPLv2\)": "GPL-2.0",
    r"GNU Lesser General Public License v3 \(LGPLv3\)": "LGPL-3.0",
    r"ISC License.*": "ISC",
    r"MIT License": "MIT",
    r"Mozilla Public License 2\.0.*": "MPL-2.0",
    r"NVIDIA Proprietary Software": "LicenseRef-NVIDIA-Proprietary",
    r"PSFL|Python Software Foundation License": "PSF-2.0",
}


def installed() -> dict[str, metadata.Distribution]:
    """What lmr with all its extras asks for, and what that asks for, as far as it is installed; by name."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    found: dict[str, metadata.Distribution] = {}
    waiting, known = [("lmr", frozenset(extras))], set[tuple[str, frozenset[str]]]()
    while waiting:
        name, wanted = one = waiting.pop()
        if one in known:
            continue
        known.add(one)
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # of an extra that is not installed
            continue
        found[canonicalize_name(name)] = package
        for text in package.requires or ():
            asked = Requirement(text)
            if asked.marker is None or any(asked.marker.evaluate({"extra": extra}) for extra in {"", *wanted}):
                waiting.append((asked.name, frozenset(asked.extras)))
    return dict(sorted(found.items()))


def licences(package: metadata.Distribution) -> list[str]:
    """All that a package says it is under, each as SPDX names it; empty where it says nothing."""
    told: Any = package.metadata
    kinds = [line.rsplit("::", 1)[1].strip() for line in told.get_all("Classifier") or [] if line.startswith("License")]
    if expression := told.get("License-Expression"):
        kinds = [one.strip() for one in re.split(r"\bAND\b|\bOR\b|[()]", expression) if one.strip()]
    elif (text := (told.get("License") or "").strip()) and "\n" not in text:
        kinds = [*kinds, text]
    return sorted({_spdx(kind) for kind in kinds})


def _spdx(kind: str) -> str:
    return next((name for pattern, name in _SPDX.items() if re.fullmatch(pattern, kind)), kind)


def write_sbom(file: Path) -> None:
    """Write the SBOM of what is installed, and of the server jars."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--pyproject", str(ROOT / "pyproject.toml")]
    command += ["--spec-version", "1.6", "--output-reproducible", "--no-validate", "--of", "JSON", sys.executable]
    bill = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    ours = installed().keys()
    bill["components"] = [one for one in bill["components"] if canonicalize_name(one["name"]) in ours]
    kept = {one["bom-ref"] for one in (bill["metadata"]["component"], *bill["components"])}
    bill["dependencies"] = [
        {**one, "dependsOn": [ref for ref in one.get("dependsOn", ()) if ref in kept]}
        for one in bill["dependencies"]
        if one["ref"] in kept
    ]
    bill["components"] += _jars()
    file.write_text(json.dumps(bill, indent=2) + "\n")


def _jars() -> Iterator[dict[str, Any]]:
    for jar in pinned():
        group, name, version, _ = jar.path.rsplit("/", 3)
        group = group.replace("/", ".")
        purl = f"pkg:maven/{group}/{name}@{version}"
        yield {
            "bom-ref": purl,
            "type": "library",
            "group": group,
            "name": name,
            "version": version,
            "purl": purl,
            "hashes": [{"alg": "SHA-256", "content": jar.sha256}],
        }


def main() -> None:
    """Print the table; write the SBOM if a file is named."""
    parser = argparse.ArgumentParser(description="Licences of all that lmr installs.")
    parser.add_argument("--sbom", type=Path, metavar="FILE", help="write a CycloneDX document, too")
    options = parser.parse_args()
    for name, package in installed().items():
        print(f"{name:26} {package.version:20} {', '.join(licences(package)) or '-'}")
    if options.sbom:
        write_sbom(options.sbom)


if __name__ == "__main__":
    main()
