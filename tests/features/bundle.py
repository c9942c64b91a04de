"""Writes a TensorBundle as TensorFlow does (one block of data; its layout was held against real ones)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

import google_crc32c

from lmr.values import Array


def varint(value: int) -> bytes:
    found = b""
    while value >= 0x80:
        found += bytes([value & 0x7F | 0x80])
        value >>= 7
    return found + bytes([value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def masked(data: bytes) -> int:
    found = google_crc32c.value(data)
    return ((found >> 15 | found << 17) + 0xA282EAD8) & 0xFFFFFFFF


def write_bundle(folder: Path, values: Mapping[str, Array], keys: Mapping[str, str] | None = None) -> None:
    """keys: name -> key in the index; the names then come from an object graph."""
    folder.mkdir(parents=True)
    data, rows = b"", {}
    for name, array in values.items():
        raw = array.tobytes()
        shape = b"".join(field(2, field(1, length)) for length in array.shape)
        entry = field(1, 1) + field(2, shape) + field(4, len(data)) + field(5, len(raw))
        rows[keys[name] if keys else name] = entry + b"\x35" + struct.pack("<I", masked(raw))
        data += raw
    if keys:
        graph = object_graph(keys)
        lengths = struct.pack("<I", len(graph))
        sums = struct.pack("<I", masked(lengths))
        raw = varint(len(graph)) + sums + graph
        entry = field(1, 7) + field(4, len(data)) + field(5, len(raw))
        rows["_CHECKPOINTABLE_OBJECT_GRAPH"] = entry + b"\x35" + struct.pack("<I", masked(lengths + sums + graph))
        data += raw
    (folder / "variables.data-00000-of-00001").write_bytes(data)
    header = field(1, 1)
    table = block([(b"", header), *((key.encode(), rows[key]) for key in sorted(rows))])
    place = varint(0) + varint(len(table) - 5)
    index = block([(b"\xff", place)])
    meta = block([])
    ends = varint(len(table)) + varint(len(meta) - 5) + varint(len(table) + len(meta)) + varint(len(index) - 5)
    footer = ends.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    (folder / "variables.index").write_bytes(table + meta + index + footer)


def block(rows: list[tuple[bytes, bytes]]) -> bytes:
    body, before = b"", b""
    for k, (key, value) in enumerate(rows):
        shared = 0
        if k % 16:  # keys share their beginnings, anew every 16
            while shared < min(len(key), len(before)) and key[shared] == before[shared]:
                shared += 1
        body += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    body += struct.pack("<II", 0, 1) + b"\0"
    return body + struct.pack("<I", masked(body))


def object_graph(keys: Mapping[str, str]) -> bytes:
    """Nodes for every part of the names, and a list of all variables beside them, as Keras keeps it."""
    nodes: dict[str, int] = {"": 0}
    children: dict[str, list[str]] = {"": []}
    for name in keys:
        parts = name.split("/")
        for k in range(1, len(parts) + 1):
            way = "/".join(parts[:k])
            if way not in nodes:
                nodes[way] = len(nodes)
                children[way] = []
                children["/".join(parts[: k - 1])].append(way)
    made = []
    for way in nodes:
        body = b"".join(
            field(1, field(1, nodes[child]) + field(2, child.rsplit("/", 1)[-1].encode())) for child in children[way]
        )
        if way in keys:
            body += field(2, field(1, b"VARIABLE_VALUE") + field(2, b"any") + field(3, keys[way].encode()))
        made.append(body)
    every = b"".join(field(1, field(1, nodes[name]) + field(2, str(k).encode())) for k, name in enumerate(keys))
    made[0] = field(1, field(1, len(made)) + field(2, b"variables")) + made[0]
    return b"".join(field(1, body) for body in [*made, every])
