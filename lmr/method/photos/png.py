"""PNG: the chunks that make the picture, their checksums verified, and nothing else shown to a decoder.

Text, times and private chunks are dropped unread, so that neither their checksums nor what they unpack to matter.
"""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageSequence

from lmr.errors import PhotoError
from lmr.method.photos.colour import MOST_PROFILE, displayed, of_channels, rgb_of, with_contrast
from lmr.method.photos.limits import Decoded, Limits, frames_tried
from lmr.method.photos.tones import is_hdr
from lmr.method.photos.upright import orientation_of, turned, upright
from lmr.values import Array

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
_NEEDED = (b"tRNS", b"acTL", b"fcTL", b"fdAT")
_SIDE = {b"iCCP": MOST_PROFILE, b"eXIf": 1 << 20, b"cICP": 4}  # and the most bytes of each that are looked at
_PASSES = 10


@dataclass(slots=True)
class _Chunks:
    """The picture's own chunks as a file, IHDR's values, and side chunks by kind, sound ones only."""

    width: int = 0
    height: int = 0
    bits: int = 8
    kept: list[bytes] = field(default_factory=lambda: [_SIGNATURE])
    side: dict[bytes, bytes] = field(default_factory=dict)
    animated: bool = False


def decode(data: bytes, limits: Limits) -> Decoded:
    """Raises PhotoError that names the chunk that is damaged."""
    chunks = _read(data)
    limits.check(chunks.width, chunks.height, _PASSES)
    clean = b"".join(chunks.kept)
    orientation = orientation_of(chunks.side.get(b"eXIf", b""))
    pixels = _deep(clean, chunks) if chunks.bits == 16 and not chunks.animated else _shallow(clean, chunks)
    return Decoded(upright(pixels, orientation), *turned(chunks.width, chunks.height, orientation))


def _read(data: bytes) -> _Chunks:
    chunks, at = _Chunks(), len(_SIGNATURE)
    while at + 12 <= len(data):
        (size,) = struct.unpack_from(">I", data, at)
        kind, whole = data[at + 4 : at + 8], data[at : at + size + 12]
        at += size + 12
        if len(whole) < size + 12:
            raise PhotoError(f"cannot be decoded: cut short in chunk {_name(kind)}")
        if kind[:1].isupper() or kind in _NEEDED:
            _keep(chunks, kind, whole)
        elif kind in _SIDE and size <= _SIDE[kind] and _is_sound(whole):
            chunks.side.setdefault(kind, whole[8:-4])
        if kind == b"IEND":
            return chunks
    raise PhotoError("cannot be decoded: cut short, no IEND chunk")


def _name(kind: bytes) -> str:
    return kind.decode("ascii", "backslashreplace")


def _is_sound(whole: bytes) -> bool:
    return zlib.crc32(memoryview(whole)[4:-4]) == int.from_bytes(whole[-4:], "big")


def _keep(chunks: _Chunks, kind: bytes, whole: bytes) -> None:
    if kind not in _CRITICAL and kind not in _NEEDED:
        raise PhotoError(
            f"cannot be decoded: chunk {_name(kind)} is not of standard PNG; convert it with its own program"
        )
    if not _is_sound(whole):
        if kind == b"tRNS" or kind[:1].islower():
            return  # transparency and later frames do not decide over the picture
        raise PhotoError(f"cannot be decoded: the checksum of chunk {_name(kind)} is wrong, so the picture is damaged")
    if kind == b"IHDR" and len(whole) == 25 and not chunks.width:
        chunks.width, chunks.height, chunks.bits = struct.unpack_from(">IIB", whole, 8)
    elif not chunks.width:
        raise PhotoError("cannot be decoded: no IHDR chunk at the start")
    chunks.animated |= kind == b"acTL"
    chunks.kept.append(whole)


def _profile(chunks: _Chunks) -> bytes | None:
    """The profile, unpacked up to what one may hold; None if there is none, or none of use."""
    _, _, packed = chunks.side.get(b"iCCP", b"").partition(b"\0")
    try:
        profile = zlib.decompressobj().decompress(packed[1:], MOST_PROFILE + 1)
    except zlib.error:
        return None
    return profile if 0 < len(profile) <= MOST_PROFILE else None


def _cicp(chunks: _Chunks) -> tuple[int, int]:
    values = chunks.side.get(b"cICP", b"")
    return (values[0], values[1]) if len(values) == 4 else (0, 0)


def _shallow(clean: bytes, chunks: _Chunks) -> Array:
    """8 bits and fewer, and the first frame with contrast of an animation."""
    profile, cicp = _profile(chunks), _cicp(chunks)
    with Image.open(io.BytesIO(clean), formats=("PNG",)) as image:
        frames = ImageSequence.Iterator(image) if chunks.animated else iter([image])
        return with_contrast(
            displayed(rgb_of(frame, profile), cicp)
            for frame, _ in zip(frames, frames_tried(chunks.width, chunks.height), strict=False)
        )


def _deep(clean: bytes, chunks: _Chunks) -> Array:
    """16 bits: (H, W, 1 to 4) with alpha last where there are 2 or 4."""
    import imagecodecs

    values = np.asarray(imagecodecs.png_decode(clean))
    values = values.reshape(chunks.height, chunks.width, -1)
    cicp = _cicp(chunks)
    if is_hdr(cicp[1]):
        return displayed(
            np.ascontiguousarray(values[..., :3] if values.shape[2] >= 3 else values[..., [0, 0, 0]]), cicp
        )
    return of_channels(values, _profile(chunks))
