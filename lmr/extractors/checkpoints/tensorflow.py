"""TensorFlow's files without TensorFlow: variables of a SavedModel, and DELF's small messages.

A TensorBundle is an index (a table of sorted keys in blocks, as LevelDB writes them) and data files; both carry
CRC-32C sums, and all are checked. Formats: tensorflow/core/util/tensor_bundle, tensorflow/core/lib/io/table and
research/delf/delf/protos.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import google_crc32c
import numpy as np

from lmr.errors import CheckpointError
from lmr.values import Array

Message: TypeAlias = dict[int, list[Any]]  # field -> values: int, or bytes of what has a length

_FOOTER, _TRAILER, _MAGIC = 48, 5, 0xDB4775248B80FB57
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_TYPES: dict[int, np.dtype[Any]] = {
    number: np.dtype(kind) for number, kind in ((1, "<f4"), (2, "<f8"), (3, "<i4"), (9, "<i8"), (19, "<f2"))
}
_STRING = 7
_MOST_BYTES = 4 << 30
# a Keras model lists its variables under many names; these are the ones its authors gave
_ATTRIBUTES = re.compile(
    r"_model|backbone|attention|autoencoder|l[2-5][a-z]+|conv\w+|bn\w+|embedding_layer|kernel|bias|gamma|beta|moving_\w+"
)


@dataclass(frozen=True, slots=True)
class _Entry:
    kind: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int
    sliced: bool


def read_variables(folder: Path) -> dict[str, Array]:
    """The variables under `folder` (variables.index beside its data files) by name.

    Those of a Keras model are named by the way of attributes that leads to them, as in `_model/backbone/conv1/kernel`.
    Raises CheckpointError for what is cut short, changed, or no such folder.
    """
    index = _read(folder / "variables.index")
    try:
        entries = {key.decode(): value for key, value in _table(index)}
        header = message(entries.pop("", b""))
        if number(header, 2):
            raise CheckpointError(f"{folder} was written on a big-endian machine")
        parsed = {name: _entry(value) for name, value in entries.items()}
        shards = number(header, 1)
        files = [folder / f"variables.data-{k:05}-of-{shards:05}" for k in range(shards)]
        graph = parsed.pop(_OBJECT_GRAPH, None)
        found = {name: _array(name, entry, files) for name, entry in parsed.items() if entry.kind in _TYPES}
        return found if graph is None else _by_attributes(_strings(graph, files)[0], found)
    except (struct.error, IndexError, ValueError, UnicodeDecodeError, OverflowError) as error:
        raise CheckpointError(f"{folder} holds no variables that can be read: {error}") from error


def read_datum(path: Path) -> Array:
    """The array in a DatumProto."""
    return datum(_read(path))


def datum(data: bytes) -> Array:
    """A DatumProto: its shape, and its values as float, double or uint32. Raises CheckpointError."""
    try:
        parsed = message(data)
        shape = tuple(_packed_numbers(message(parsed[1][0]), 1)) if 1 in parsed else ()
        for field, kind in ((2, "<f4"), (3, "<u4"), (4, "<f8")):
            if field in parsed:
                values = message(parsed[field][0]).get(1, [])
                if kind == "<u4":
                    return np.array([v for part in values for v in _varints(part)], np.uint32).reshape(shape)
                return np.frombuffer(b"".join(values), kind).reshape(shape)
        return np.zeros(shape, np.float32)
    except (struct.error, IndexError, ValueError, TypeError) as error:
        raise CheckpointError(f"a DatumProto cannot be read: {error}") from error


def read_delf(path: Path) -> dict[str, Array]:
    """A .delf file: locations (N, 2) y, x; scales, strengths and orientations (N,); descriptors (N, D)."""
    rows: dict[str, list[Any]] = {"locations": [], "scales": [], "strengths": [], "orientations": [], "descriptors": []}
    try:
        for feature in message(_read(path)).get(1, []):
            parsed = message(feature)
            descriptor = datum(parsed[1][0])
            x, y, scale, orientation, strength = (_float(parsed, field) for field in (2, 3, 4, 5, 6))
            values = ((y, x), scale, strength, orientation, descriptor)
            for column, value in zip(rows.values(), values, strict=True):
                column.append(value)
        return {name: np.array(column, np.float32) for name, column in rows.items()}
    except (struct.error, IndexError, KeyError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path} holds no DELF features: {error}") from error


def message(data: bytes) -> Message:
    """The fields of a protocol buffer: whole numbers as int, all others as bytes."""
    found: Message = {}
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        value: Any
        if kind == 0:
            value, at = _varint(data, at)
        else:
            length = {1: 8, 5: 4}.get(kind)
            if kind == 2:
                length, at = _varint(data, at)
            if length is None or at + length > len(data):
                raise ValueError("a message is cut short")
            value, at = data[at : at + length], at + length
        found.setdefault(key >> 3, []).append(value)
    return found


def number(parsed: Message, field: int) -> int:
    """A whole number; 0 where the field is absent."""
    return int(parsed[field][-1]) if field in parsed else 0


def _float(parsed: Message, field: int) -> float:
    return float(struct.unpack("<f", parsed[field][-1])[0]) if field in parsed else 0.0


def _packed_numbers(parsed: Message, field: int) -> list[int]:
    """Repeated whole numbers, packed or one by one."""
    values: list[int] = []
    for part in parsed.get(field, []):
        values.extend(_varints(part) if isinstance(part, bytes) else [part])
    return values


def _varints(data: bytes) -> list[int]:
    values, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        values.append(value)
    return values


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")


def _checked(data: bytes, stored: int, what: str) -> None:
    """Sums are stored turned and shifted, as they are sums of data that hold sums."""
    found = google_crc32c.value(data)
    if stored != ((found >> 15 | found << 17) + 0xA282EAD8) & 0xFFFFFFFF:
        raise CheckpointError(f"{what} is damaged (its checksum differs)")


def _table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) of a table, in order."""
    if len(data) < _FOOTER or struct.unpack_from("<Q", data, len(data) - 8)[0] != _MAGIC:
        raise CheckpointError("variables.index is cut short, or is not TensorFlow's")
    footer = data[-_FOOTER:]
    _, at = _varint(footer, 0)  # of the block of filters: place, size
    _, at = _varint(footer, at)
    place, at = _varint(footer, at)
    size, _ = _varint(footer, at)
    for _, handle in _block(data, place, size):
        start, at = _varint(handle, 0)
        length, _ = _varint(handle, at)
        yield from _block(data, start, length)


def _block(data: bytes, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    whole = data[start : start + size + _TRAILER]
    if len(whole) < size + _TRAILER:
        raise CheckpointError("variables.index is cut short")
    _checked(whole[: size + 1], struct.unpack_from("<I", whole, size + 1)[0], "variables.index")
    if whole[size]:
        raise CheckpointError("variables.index is compressed, which TensorFlow does not do")
    end = size - 4 * (struct.unpack_from("<I", whole, size - 4)[0] + 1)
    at, key = 0, b""
    while at < end:
        shared, at = _varint(whole, at)
        fresh, at = _varint(whole, at)
        length, at = _varint(whole, at)
        key = key[:shared] + whole[at : at + fresh]
        at += fresh
        yield key, whole[at : at + length]
        at += length


def _entry(data: bytes) -> _Entry:
    parsed = message(data)
    dimensions = message(parsed[2][0]).get(2, []) if 2 in parsed else []
    shape = tuple(number(message(dimension), 1) for dimension in dimensions)
    checksum = struct.unpack("<I", parsed[6][0])[0] if 6 in parsed else 0
    return _Entry(
        number(parsed, 1), shape, number(parsed, 3), number(parsed, 4), number(parsed, 5), checksum, 7 in parsed
    )


def _bytes(name: str, entry: _Entry, files: Sequence[Path]) -> bytes:
    path = files[entry.shard]
    try:
        with path.open("rb") as file:
            file.seek(entry.offset)
            data = file.read(entry.size)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    if len(data) != entry.size:
        raise CheckpointError(f"{path} is cut short: {name} is not all there")
    return data


def _array(name: str, entry: _Entry, files: Sequence[Path]) -> Array:
    kind = _TYPES[entry.kind]
    if entry.sliced or entry.size != kind.itemsize * int(np.prod(entry.shape, dtype=np.int64)):
        raise CheckpointError(f"{name} is kept in a way that this reader does not know")
    data = _bytes(name, entry, files)
    _checked(data, entry.checksum, name)
    return np.frombuffer(data, kind).reshape(entry.shape)


def _strings(entry: _Entry, files: Sequence[Path]) -> list[bytes]:
    """A tensor of strings: lengths, their checksum, the strings. Sums take lengths as four bytes each."""
    data = _bytes(_OBJECT_GRAPH, entry, files)
    lengths, at = [], 0
    for _ in range(int(np.prod(entry.shape, dtype=np.int64))):
        length, at = _varint(data, at)
        lengths.append(length)
    _checked(struct.pack(f"<{len(lengths)}I", *lengths) + data[at:], entry.checksum, "the list of variables")
    at += 4
    found = []
    for length in lengths:
        found.append(data[at : at + length])
        at += length
    return found


def _by_attributes(graph: bytes, values: Mapping[str, Array]) -> dict[str, Array]:
    """Variables by the way of attribute names that leads to them from the saved object."""
    nodes = [message(node) for node in message(graph).get(1, [])]
    found: dict[str, Array] = {}
    waiting: list[tuple[int, str]] = [(0, "")]
    seen = {0}
    while waiting:
        at, way = waiting.pop(0)
        for attribute in nodes[at].get(2, []):
            parsed = message(attribute)
            key = parsed[3][0].decode() if 3 in parsed else ""
            if key in values:
                found[way] = values[key]
        for child in nodes[at].get(1, []):
            parsed = message(child)
            below, name = number(parsed, 1), parsed[2][0].decode()
            if below not in seen and _ATTRIBUTES.fullmatch(name):
                seen.add(below)
                waiting.append((below, f"{way}/{name}".lstrip("/")))
    return found


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise CheckpointError(f"{path} is larger than {_MOST_BYTES:,} bytes")
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
