"""The vector index: descriptors by image id, nearest neighbours among index images."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np

from lmr.errors import CollectionError, ServerError
from lmr.values import Array, batches

_FIELD, _KEY = "vector", "id"
_INDEX_ONLY = "query == false"  # a constant: nothing is ever pasted into a filter
_UPSERT = 1000
_SEARCH = 100
_MOST = 16_384  # neighbours a Milvus server gives for one query
_MANY = 10_000
_LEAST_EF, _NPROBE = 256, 128
_FLAT_UP_TO = 100_000  # beyond this many vectors a graph index pays
INDEXES: dict[str, dict[str, int]] = {  # how each is built; `_searching` how it is asked
    "FLAT": {},
    "HNSW": {"M": 24, "efConstruction": 200},
    "IVF_FLAT": {"nlist": 1024},
}


class VectorIndex(Protocol):
    """Nearest neighbours by inner product of unit vectors."""

    def upsert(self, rows: Iterable[tuple[str, Array, bool]]) -> None:
        """Store (image id, (D,) float32, is a query photo); the same id again replaces."""
        ...

    def delete(self, ids: Sequence[str]) -> None:
        """Forget images."""
        ...

    def search(self, vectors: Array, top: int) -> list[list[tuple[str, float]]]:
        """For each row of (n, D) the `top` nearest index images as (id, similarity), nearest first."""
        ...

    def fetch(self, ids: Sequence[str]) -> dict[str, Array]:
        """Image id -> (D,) float32, of those ids that are stored."""
        ...

    def count(self) -> int:
        """Number of vectors."""
        ...


class MemoryIndex:
    """Exact and in memory; what Milvus is held against."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[Array, bool]] = {}

    def upsert(self, rows: Iterable[tuple[str, Array, bool]]) -> None:
        """See VectorIndex."""
        self._rows.update({id: (checked(vector), query) for id, vector, query in rows})

    def delete(self, ids: Sequence[str]) -> None:
        """See VectorIndex."""
        for id in ids:
            self._rows.pop(id, None)

    def search(self, vectors: Array, top: int) -> list[list[tuple[str, float]]]:
        """See VectorIndex."""
        ids = [id for id, (_, query) in self._rows.items() if not query]
        if not ids:
            return [[] for _ in vectors]
        similarities = vectors @ np.stack([self._rows[id][0] for id in ids]).T
        return [
            sorted(zip(ids, map(float, row), strict=True), key=lambda pair: (-pair[1], pair[0]))[:top]
            for row in similarities
        ]

    def fetch(self, ids: Sequence[str]) -> dict[str, Array]:
        """See VectorIndex."""
        return {id: self._rows[id][0] for id in ids if id in self._rows}

    def count(self) -> int:
        """See VectorIndex."""
        return len(self._rows)


class Milvus:
    """One Milvus collection, by the ordinary client."""

    def __init__(self, uri: str, token: str, name: str) -> None:
        with _translated(uri):
            from pymilvus import MilvusClient

            logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # what fails is told once, and in our words

            self._client = MilvusClient(uri=uri, token=token, timeout=60)
        self._uri, self._name = uri, name
        self._loaded, self._loading = False, threading.Lock()

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def prepare(self) -> None:
        """Let the server load what it is asked about, if it holds anything."""
        with self._loading:
            there = self._loaded or self.dimension() is not None
        if there:
            self._load()

    def dimension(self) -> int | None:
        """Length of the stored vectors; None if there is no such collection yet."""
        with _translated(self._uri):
            if not self._client.has_collection(self._name):
                return None
            fields = self._client.describe_collection(self._name)["fields"]
        return int(next(field["params"]["dim"] for field in fields if field["name"] == _FIELD))

    def create(self, dimension: int, expected: int, index: str | None = None) -> None:
        """Make the collection, or make it anew if its vectors have another length or it has outgrown its index.

        index: one of INDEXES; None: exact up to 100,000 vectors, a graph beyond.
        """
        from pymilvus import DataType

        wanted = index or ("FLAT" if expected <= _FLAT_UP_TO else "HNSW")
        stored = self.dimension()
        if stored == dimension and self.index_type() == wanted:
            return
        with _translated(self._uri):
            if stored is not None:
                self._client.drop_collection(self._name)
            schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
            schema.add_field(_KEY, DataType.VARCHAR, max_length=64, is_primary=True)
            schema.add_field(_FIELD, DataType.FLOAT_VECTOR, dim=dimension)
            schema.add_field("query", DataType.BOOL)
            params = self._client.prepare_index_params()
            params.add_index(_FIELD, index_type=wanted, metric_type="IP", params=INDEXES[wanted])
            self._client.create_collection(self._name, schema=schema, index_params=params, consistency_level="Strong")
        self._loaded = False

    def index_type(self) -> str | None:
        """Kind of the vectors' index; None if there is none."""
        with _translated(self._uri):
            for name in self._client.list_indexes(self._name):
                described = self._client.describe_index(self._name, name)
                if described.get("field_name") == _FIELD:
                    return str(described["index_type"])
        return None

    def drop(self) -> None:
        """Remove the collection."""
        with _translated(self._uri):
            self._client.drop_collection(self._name)
        self._loaded = False

    def upsert(self, rows: Iterable[tuple[str, Array, bool]]) -> None:
        """See VectorIndex."""
        count = 0
        for batch in batches(rows, _UPSERT):
            data = [{_KEY: id, _FIELD: checked(vector), "query": query} for id, vector, query in batch]
            with _translated(self._uri):
                self._client.upsert(self._name, data)
            count += len(batch)
        if count >= _MANY:  # Milvus Lite indexes what was flushed before it was loaded, and looks through the rest
            with _translated(self._uri):
                self._client.flush(self._name)
                self._client.release_collection(self._name)
            self._loaded = False

    def delete(self, ids: Sequence[str]) -> None:
        """See VectorIndex."""
        if ids:
            with _translated(self._uri):
                self._client.delete(self._name, ids=list(ids))

    def search(self, vectors: Array, top: int) -> list[list[tuple[str, float]]]:
        """See VectorIndex; at most 16,384 neighbours."""
        self._load()
        found: list[list[tuple[str, float]]] = []
        limit = min(top, _MOST)
        for batch in batches(vectors, _SEARCH):
            with _translated(self._uri):
                answers = self._client.search(
                    self._name,
                    data=[row.tolist() for row in batch],
                    limit=limit,
                    filter=_INDEX_ONLY,
                    output_fields=[_KEY],
                    search_params={"metric_type": "IP", "params": _searching(limit)},
                )
            found += [[(hit["id"], float(hit["distance"])) for hit in answer] for answer in answers]
        return [sorted(row, key=lambda pair: (-pair[1], pair[0])) for row in found]

    def fetch(self, ids: Sequence[str]) -> dict[str, Array]:
        """See VectorIndex."""
        found: dict[str, Array] = {}
        if not self._loaded and self.dimension() is None:
            return found
        self._load()
        for batch in batches(ids, _UPSERT):
            with _translated(self._uri):
                rows = self._client.get(self._name, ids=list(batch), output_fields=[_KEY, _FIELD])
            found |= {row[_KEY]: np.array(row[_FIELD], np.float32) for row in rows}
        return found

    def count(self) -> int:
        """See VectorIndex."""
        self._load()
        with _translated(self._uri):
            rows = self._client.query(self._name, filter="", output_fields=["count(*)"])
        return int(rows[0]["count(*)"])

    def _load(self) -> None:
        """One at a time: asked for twice while it opens a collection, Milvus Lite opens two, and one stays unloaded."""
        with self._loading:
            if not self._loaded:
                with _translated(self._uri):
                    self._client.load_collection(self._name)
                self._loaded = True


def _searching(limit: int) -> dict[str, int]:
    """How far the approximate indexes look; the exact one takes no notice."""
    return {"ef": max(_LEAST_EF, 4 * limit), "nprobe": _NPROBE}


def checked(vector: Array) -> Any:
    """The vector, if it is finite. Milvus would take others, and one infinite row then ranks first everywhere."""
    if not np.isfinite(vector).all():
        raise CollectionError("a descriptor is not finite; `lmr train` describes everything again")
    return vector


class _translated:
    """Errors of the client as ours."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        warnings.filterwarnings("ignore", module="pymilvus")

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, CollectionError | KeyboardInterrupt):
            return
        from pymilvus.exceptions import MilvusException

        if isinstance(error, MilvusException | OSError) or type(error).__module__.startswith("grpc"):
            raise ServerError(f"Milvus at {self._uri}: {error}; `lmr status` shows it, `lmr up` starts it") from error
