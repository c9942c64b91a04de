"""Keywords of photos as XMP sidecars in a folder of their own, which people lay beside their photos if they want to.

Each has the keywords that the photo has already, its label, or else the most frequent one of its place, and one by
which all photos of a place are found; in `dc:subject`, which all programs read, and as a tree of tags for digiKam.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

from lmr.errors import UsageError
from lmr.method.photos import video
from lmr.outputs import Content, Kept, Link, write_tree
from lmr.retrieval.places import Place, places
from lmr.store.images import Image
from lmr.store.snapshot import snapshot
from lmr.store.stores import Stores

_SHORT = 12  # of an id
_MARK = "lmr place "
_XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="lmr">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:digiKam="http://www.digikam.org/ns/1.0/">
   <dc:subject>
    <rdf:Bag>
{keywords}    </rdf:Bag>
   </dc:subject>
   <digiKam:TagsList>
    <rdf:Seq>
{tags}    </rdf:Seq>
   </digiKam:TagsList>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""


def export_sidecars(stores: Stores, folder: Path, *, root: Path | None = None, place: str | None = None) -> Kept:
    """Make a folder hold a sidecar for each file of each photo of a place, by its path below the root, with `.xmp`.

    root: the folder that all photos are in; None: the one that holds them all. place: this one alone, by its id. Raises
    UsageError where the folder is not lmr's own, there are no places, or a photo lies elsewhere.
    """
    with snapshot(stores):
        found = list(places(stores, place))
    rows = [(path, image, one) for one in found for image in one.images for path in _files(stores, image)]
    if not rows:
        raise UsageError("there are no places with photos yet: `lmr cluster` makes places")
    if root is None:
        root = Path(os.path.commonpath([os.path.dirname(path) for path, _, _ in rows]))
    entries: dict[str, Link | Content] = {}
    for path, image, one in rows:
        if not Path(path).is_relative_to(root):
            raise UsageError(f"{path!r} does not lie under {root}: name a folder that holds all photos")
        text = _text(stores.ledger.files.about(image.number).keywords, image, one)
        entries[f"{os.path.relpath(path, root)}.xmp"] = Content(lambda text=text: text.encode())  # type: ignore[misc]
    return write_tree(folder, entries)


def _files(stores: Stores, image: Image) -> Iterator[str]:
    for path in stores.ledger.files.paths(image.number):
        if video.source(path) == path and path.startswith(b"/"):
            yield os.fsdecode(path)


def _text(own: tuple[str, ...], image: Image, place: Place) -> str:
    label, kept = image.landmark or place.label, (word for word in own if not word.startswith(_MARK))
    keywords = dict.fromkeys((*kept, *([label] if label else ()), f"{_MARK}{place.id[:_SHORT]}"))
    tags = [f"lmr/{(label or place.id[:_SHORT]).replace('/', '_')}"]
    return _XMP.format(keywords=_items(keywords), tags=_items(tags))


def _items(texts: dict[str, None] | list[str]) -> str:
    return "".join(f"     <rdf:li>{escape(_plain(text))}</rdf:li>\n" for text in texts)


def _plain(text: str) -> str:
    """Without what XML cannot hold."""
    kept = (c if c >= " " and not "\ud800" <= c <= "\udfff" and c not in "\ufffe\uffff" else "?" for c in text)
    return "".join(kept)
