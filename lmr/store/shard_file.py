"""A shard as a file: Parquet with the features of some photos.

Columns: `id`, the image's; `local`, its packed local features; `raw_global`, what its global descriptor is made of. A
photo is a row group of its own, so that one is read without the others; nothing is compressed, as features hardly get
smaller. The file's metadata says whose it is. It may have been changed by anybody: what cannot be read is a FaultError.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lmr.store.shards import LOCAL, RAW_GLOBAL, Row

SCHEMA = pa.schema([("id", pa.string()), (LOCAL, pa.binary()), (RAW_GLOBAL, pa.binary())])
_MOST = 64 * 2**20  # bytes, and parts, of a footer
_OTHER = "it has other rows than the ledger knows"


class FaultError(Exception):
    """A file is no whole shard, or the way to it is cut; the text says more."""


def packed(id: str, rows: Sequence[Row]) -> pa.Buffer:
    """The file of some rows of a collection; the same for the same, by the same pyarrow."""
    columns = [pa.array([getattr(row, one.name) for row in rows], one.type) for one in SCHEMA]
    table = pa.Table.from_arrays(columns, schema=SCHEMA.with_metadata({"lmr": "features", "collection": id}))
    into = pa.BufferOutputStream()
    pq.write_table(table, into, row_group_size=1, compression="none", use_dictionary=False, write_statistics=False)
    return into.getvalue()


def footer_of(file: Any, size: int, photos: int) -> Any:
    """What the end of a file says, where it has as many bytes and photos as it should. Raises FaultError."""
    with _told():
        if file.size() != size:
            raise FaultError(f"it has {file.size():,} bytes instead of {size:,}")
        footer = _footer(file)
    if not footer.num_rows == footer.num_row_groups == photos:
        raise FaultError(_OTHER)
    return footer


def column_of(file: Any, footer: Any, places: Sequence[int], column: str) -> list[bytes]:
    """A column of the photos at some places. Raises FaultError."""
    with _told():
        if not all(0 <= place < footer.num_row_groups and _plain(footer, place, column) for place in places):
            raise FaultError(_OTHER)
        reader = pq.ParquetFile(file, metadata=footer, pre_buffer=True)
        found = reader.read_row_groups(list(places), columns=[column], use_threads=False)[column].to_pylist()
    if len(found) != len(places):
        raise FaultError(_OTHER)
    return found


def owner_of(file: Any) -> str | None:
    """The id of the collection that a file says it is a shard of; None: it is no shard."""
    try:
        with _told():
            told = _footer(file).metadata or {}
    except FaultError:
        return None
    return str(told.get(b"collection", b"").decode("utf-8", "replace")) if told.get(b"lmr") == b"features" else None


def _footer(file: Any) -> Any:
    return pq.ParquetFile(file, thrift_string_size_limit=_MOST, thrift_container_size_limit=_MOST).metadata


def _plain(footer: Any, place: int, column: str) -> bool:
    """Whether a photo's column is as long as it says: something compressed could be of any size once it is read."""
    about = footer.row_group(place).column(SCHEMA.names.index(column))
    names = about.path_in_schema == column and about.compression == "UNCOMPRESSED"
    return names and about.total_uncompressed_size == about.total_compressed_size


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException, IndexError) as error:
        raise FaultError(str(error).strip()) from error
