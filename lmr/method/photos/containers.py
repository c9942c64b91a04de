"""The boxes and chunks of containers, walked without decoding: where a picture's data lie, and whether they are there.

Decoders of HEVC, AV1 and VP8 make a picture of a copy that was interrupted and holds zeros from some point on. The data
of these codecs are packed so that long runs of zeros do not occur in them.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

from lmr.method.photos.upright import orientation_of

_TAIL, _HOLE = 64, 1 << 16  # zero bytes at the end, and inside, where metadata may lie too


def boxes(data: bytes, at: int = 0) -> Iterator[tuple[bytes, int, int]]:
    """(type, start, end) of the payload of each box at the top of an ISO base media file; ends beyond it are kept."""
    while at + 8 <= len(data):
        size, kind, head = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        end = at + size if size else len(data)
        if end < at + head:
            return
        yield kind, at + head, end
        at = end


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(type, start, end) of the payload of each chunk of a RIFF file."""
    at = 12
    while at + 8 <= len(data):
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], at + 8, end
        at = end + end % 2


def is_interrupted(data: bytes) -> bool:
    """Whether the packed picture data of a WebP, HEIC or AVIF file are zeros at their end, or in a large part."""
    if data[:4] == b"RIFF":
        parts = [part for part in chunks(data) if part[0] in (b"VP8 ", b"VP8L", b"ANMF")]
    else:
        parts = [part for part in boxes(data) if part[0] == b"mdat"]
    for _, start, end in parts:
        end = min(end, len(data))
        if end - start >= _TAIL and not any(data[end - _TAIL : end]):
            return True
        if data.find(bytes(_HOLE), start, end) >= 0:
            return True
    return False


def noted_orientation(data: bytes) -> int:
    """The EXIF orientation of a HEIC or AVIF file whose container does not say how the picture is turned, else 1.

    The container alone counts where it has a turn or a mirror, which decoders apply; some writers store the picture as
    the sensor saw it and note its orientation in EXIF only.
    """
    meta = next((data[start:end] for kind, start, end in boxes(data) if kind == b"meta"), b"")
    if b"irot" in meta or b"imir" in meta or b"Exif" not in meta:
        return 1
    import pi_heif

    try:
        found = pi_heif.open_heif(io.BytesIO(data))
        return orientation_of(found[found.primary_index].info.get("exif") or b"")
    except (ValueError, OSError, IndexError, AttributeError):  # side data
        return 1
