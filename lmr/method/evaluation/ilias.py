"""The ground truth of ILIAS (Kordopatis-Zilos et al., 2025), as its own program reads it: names say what is right.

An image is `instance/query/Q000_00.jpg` or `instance/pos/P000_00.jpg`, and right for a query is what begins with the
same instance. Lists of both lie in the folder `image_ids`; without it the folder of the images themselves tells as
much. Which distractors there are is not asked: any other image is one, so mini-ILIAS is measured in the same way.
"""

from __future__ import annotations

from pathlib import Path

from lmr.errors import UsageError
from lmr.text import printable

DEPTH = 1000  # of its mAP@1000
_QUERIES, _POSITIVES = "image_query_ids.txt", "positive_ids.txt"
_MOST = 1 << 30  # bytes of a list
_MOST_FILES = 1_000_000


def names_of(path: Path) -> tuple[list[str], list[str]]:
    """Names of the image queries, and of all positives, in their order.

    path: the data set's folder, or `image_ids` in it, or that of the images. Raises UsageError where it is none.
    """
    for folder in (path / "image_ids", path):
        if (folder / _QUERIES).is_file() and (folder / _POSITIVES).is_file():
            return _listed(folder / _QUERIES), _listed(folder / _POSITIVES)
    found = [(file, kind) for kind in ("query", "pos") for file in sorted(path.glob(f"*/{kind}/*.jpg"))[:_MOST_FILES]]
    if not found:
        raise UsageError(f"{path} has neither {_QUERIES} and {_POSITIVES}, nor .jpg in INSTANCE/query and INSTANCE/pos")
    names = [(file.relative_to(path).as_posix(), kind) for file, kind in found]
    return [name for name, kind in names if kind == "query"], [name for name, kind in names if kind == "pos"]


def instance_of(name: str) -> str:
    """The object that an image shows."""
    return name.split("/", 1)[0]


def _listed(file: Path) -> list[str]:
    """The first cell of each line; the others are figures of the object's size and of what is around it."""
    if file.stat().st_size > _MOST:
        raise UsageError(f"{file} has more than {_MOST >> 30} GiB")
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not a text file in UTF-8 ({error})") from error
    names = [cell for line in lines if (cell := line.split(",", 1)[0].strip())]
    if wrong := next((name for name in names if not all(name.partition("/"))), None):
        raise UsageError(f"{file}: {printable(wrong[:80])} is no name such as instance/query/Q000_00.jpg")
    return list(dict.fromkeys(names))
