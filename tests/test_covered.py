"""The table of what tests went through."""

from __future__ import annotations

from tests.covered import table


def test_modules_under_the_least_are_told_also_those_that_nobody_imported() -> None:
    files = {name: {"summary": {"percent_covered": share}} for name, share in (("a.py", 84.9), ("b.py", 85.0))}
    assert table(files, 70.0, ["a.py", "b.py", "c.py"]) == [
        "  0.0 %  c.py",
        " 84.9 %  a.py",
        " 70.0 %  of lines and branches, 2 of 3 modules under 85 %",
    ]
