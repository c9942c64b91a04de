"""What is asked: a stored image, or a photo that may show just what a stored one does."""

from __future__ import annotations

from pathlib import Path

from lmr.errors import UsageError
from lmr.method.photos.decode import content_id, decode, pixel_id, read
from lmr.store.ledger import Ledger
from lmr.store.stores import Stores
from lmr.text import printable
from lmr.values import ImageId, Photo, PhotoFile, Question

LEAST_OF_AN_ID = 6  # characters


def typed(stores: Stores, name: str) -> Question:
    """What a person means by a word: a photo's file if there is one, else a stored image's id or name.

    Raises UsageError, PhotoError. For people alone: what a program is given says itself which of the two it is.
    """
    path = Path(name)
    if path.is_file():
        return PhotoFile(read(path, stores.settings.max_bytes), str(path), path)
    return ImageId(stores.resolve(name))


def question_of(stores: Stores, asked: Question | str) -> Question:
    """What is asked; a text is what a person typed."""
    return asked if isinstance(asked, Question) else typed(stores, asked)


def stored_as(stores: Stores, file: PhotoFile) -> str | Photo:
    """The id of the image that a photo's file is of, by its bytes or by what it shows; else the decoded photo.

    Raises PhotoError.
    """
    id = stores.ledger.files.image_of(content_id(file.data))
    if id is not None:
        return id
    photo = decode(file.data, enough=stores.preset.enough, **stores.settings.decoding)
    id = stores.ledger.identities.image_of(pixel_id(photo))  # a copy with other tags
    return photo if id is None or stores.ledger.images.get(id) is None else id


def whole_id(ledger: Ledger, id: ImageId) -> str:
    """The id that begins so. Raises UsageError where no image has it, or more than one begins with it."""
    found = ledger.images.ids_starting(id) if len(id) >= LEAST_OF_AN_ID else []
    if len(found) != 1:
        raise UsageError(f"{'more than one image has' if found else 'no image has'} the id {printable(id)}")
    return found[0]


def stored_image(stores: Stores, asked: Question | str) -> str:
    """The id of the stored image that is asked for. Raises UsageError where there is none."""
    if not isinstance(asked, Question):
        return stores.resolve(asked)
    if isinstance(asked, ImageId):
        return whole_id(stores.ledger, asked)
    found = stored_as(stores, asked)
    if not isinstance(found, str):
        raise UsageError(f"{printable(asked.name) or 'the photo'} is not in the collection")
    return found
