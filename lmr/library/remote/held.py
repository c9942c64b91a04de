"""What all calls of a remote collection share: the connection, and how photos go over it and values come back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmr.errors import UsageError
from lmr.library.given import question
from lmr.library.reading import value_of
from lmr.library.remote.wire import Wire
from lmr.library.result import SearchResult
from lmr.library.telling import Told, told
from lmr.values import ImageId, PhotoFile, Question

Box = tuple[float, float, float, float]
_ID = re.compile(r"[0-9a-f]{6,64}")
_PHOTO = 64 * 2**20  # bytes of a photo, which servers take at most


class RemoteHeld:
    """A connection to the server of a collection."""

    def __init__(self, wire: Wire, progress: Told) -> None:
        self._wire, self._progress = wire, told(progress)

    def _question(self, photo: Any) -> Question:
        """A photo's bytes, or the id of a stored image."""
        from lmr.settings import Settings

        given = question(photo, Settings(max_bytes=_PHOTO))
        if isinstance(given, str) and not isinstance(given, ImageId):
            raise UsageError("over HTTP a photo is a path here, bytes, a PIL image, an array or an ImageId")
        return given

    def _stored(self, photo: Any) -> ImageId:
        """The id, or its beginning, of the stored image that is asked for. Raises UsageError where there is none."""
        from lmr.method.photos.decode import content_id

        given = self._question(photo)
        if isinstance(given, ImageId):
            return given
        id = content_id(given.data)  # that of a photo's image, unless its first file is another one
        if self._wire.values("GET", f"/images/{id}", missing_is_none=True) is not None:
            return ImageId(id)
        document = self._wire.values("POST", "/search", {"top": "1", "rounds": "0"}, given.data)
        found = self._wire.read(lambda: SearchResult.from_dict(value_of(dict[str, Any], document)).stored)
        if found is None:
            raise UsageError(f"{given.name or 'the photo'} is not in the collection")
        return found

    def _read_as(self, kind: Any, told: Any) -> Any:
        return self._wire.read(lambda: value_of(kind, told))


def id_of(id: ImageId) -> str:
    """An id as addresses hold it. Raises UsageError for what can be none."""
    if not _ID.fullmatch(id):
        raise UsageError(f"no image has the id {id[:80]!r}")
    return str(id)


def name_of(given: Question, box: Box | None = None) -> str:
    """What a photo is called here, which the server is not told; a part of one has no name."""
    return str(Path(given.name if isinstance(given, PhotoFile) and box is None else ""))


def params_of(asked: Mapping[str, Any]) -> dict[str, str]:
    """Parameters of an address; what is not asked is left out."""
    return {name: _text(value) for name, value in asked.items() if value is not None and value is not False}


def _text(value: Any) -> str:
    if isinstance(value, tuple | list):
        return ",".join(map(_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
