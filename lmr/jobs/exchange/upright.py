"""Photos as lmr sees them, as JPEGs in a folder of their own: for programs that read no HEIC, or turn no photo."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import cv2

from lmr.errors import PhotoError
from lmr.outputs import Content, marked, numbered, write_tree
from lmr.retrieval.originals import original
from lmr.store.images import Image
from lmr.store.stores import Stores
from lmr.text import text_of
from lmr.values import Photo

_QUALITY = 95


def write_upright(stores: Stores, folder: Path, numbers: Sequence[int]) -> tuple[dict[int, str], dict[str, str]]:
    """Make a folder hold an upright JPEG of each image, of its full size; names by number, and ids left out with why.

    Names have no folders and no blanks. Raises UsageError where the folder is not lmr's own.
    """
    ledger, left_out = stores.ledger, dict[str, str]()
    listed = sorted((next(iter(ledger.files.paths(number)), b""), number) for number in numbers)
    ways = (numbered(k, text_of(path), len(str(len(listed)))) for k, (path, _) in enumerate(listed, 1))
    names = {number: f"{os.path.splitext(way)[0]}.jpg" for (_, number), way in zip(listed, ways, strict=True)}
    with stores.progress.task("Upright photos", len(names), "photos") as advance:

        def content(image: Image) -> Content:
            def made() -> bytes | None:
                advance(1)
                try:
                    return _jpeg(original(stores, image, enough=max(image.width, image.height)))
                except PhotoError as error:
                    left_out[image.id] = str(error)
                    return None

            return Content(made)

        write_tree(folder, {name: content(ledger.images.numbered(number)) for number, name in names.items()})
    kept = {number: name for number, name in names.items() if ledger.images.numbered(number).id not in left_out}
    return kept, left_out


def _jpeg(photo: Photo) -> bytes:
    pixels = cv2.cvtColor(photo.pixels, cv2.COLOR_RGB2BGR)
    if pixels.shape[:2] != (photo.height, photo.width):  # it came reduced
        pixels = cv2.resize(pixels, (photo.width, photo.height), interpolation=cv2.INTER_CUBIC)
    done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise PhotoError(f"no JPEG can be made of {photo.width} x {photo.height} px")
    return marked(data.tobytes())
