"""What the tests that just ran went through, from the files that each of their processes left (`make coverage`).

Lines and branches are counted together. Compiled functions are left out: their plain twins are tests.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import coverage

LEAST = 85.0  # per cent
ROOT = Path(__file__).parents[1]


def table(files: dict[str, dict], total: float, modules: list[str]) -> list[str]:
    """Lines that tell of each module under LEAST, the least first, and of the whole.

    files: of coverage's JSON report; modules: all that there are, as nobody may have imported one.
    """
    shares = dict.fromkeys(modules, 0.0) | {name: one["summary"]["percent_covered"] for name, one in files.items()}
    low = sorted((share, name) for name, share in shares.items() if share < LEAST)
    return [
        *(f"{share:5.1f} %  {name}" for share, name in low),
        f"{total:5.1f} %  of lines and branches, {len(low)} of {len(shares)} modules under {LEAST:.0f} %",
    ]


def main() -> None:
    """Join the files and print the table."""
    measured = coverage.Coverage(config_file=str(ROOT / "pyproject.toml"))
    measured.combine()
    measured.save()
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        # packages that tests built and installed lie in folders that are gone by now
        measured.json_report(outfile=report.name, include=[f"{ROOT}/lmr/*"], ignore_errors=True)
        found = json.loads(Path(report.name).read_text())
    modules = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "lmr").rglob("*.py"))]
    print(*table(found["files"], found["totals"]["percent_covered"], modules), sep="\n")


if __name__ == "__main__":
    main()
