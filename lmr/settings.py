"""Every setting, its default, and where its value came from: flag > environment > file > default."""

from __future__ import annotations

import dataclasses
import math
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from lmr.errors import UsageError

LEDGER = "ledger.sqlite"  # the file in a home that makes it a collection, unless the ledger is in PostgreSQL
POSTGRES = ("postgresql://", "postgres://")
STORAGES = ("s3://", "gs://", "abfs://", "abfss://")  # object storage that pyarrow knows
_CREDENTIALS = re.compile(r"^[^/@]*:.*@")  # KEY:SECRET@, before the name of a bucket
_SECRET = re.compile("password|secret|token|key|credential|signature", re.IGNORECASE)


def _setting(
    default: Any, about: str, *, env: str = "", secret: bool = False, minimum: float = 0, maximum: float = math.inf
) -> Any:
    told = {"about": about, "env": env, "secret": secret, "minimum": minimum, "maximum": maximum}
    return field(default=default, metadata=told)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one command on one collection; see `load` for where they come from."""

    home: Path = _setting(Path(".lmr"), "the collection's folder")
    preset: str = _setting("classic", "local features and global descriptor of a new collection")
    network_side: int = _setting(1024, "longer side, px, of what networks see of a photo", minimum=64)
    attention: float = _setting(0.0, "least attention of a DELF or DELG feature (DELF's authors use 100)")
    top: int = _setting(50, "neighbours proposed for each image", minimum=1)
    nfa_weak: float = _setting(0.0, "least -log10(false alarms) of a match that is kept at all")
    nfa_accept: float = _setting(3.0, "least -log10(false alarms) of a match that the forest uses")
    agreement_even: float = _setting(0.7, "similarity of refined descriptors that a match at `nfa_accept` needs")
    agreement_weight: float = _setting(12.0, "how much less similarity speaks against a match; 0 = not at all")
    most_wrong: float = _setting(
        0.2, "greatest chance of being wrong of a match that the forest uses", minimum=1e-6, maximum=0.999
    )
    expansion_steps: int = _setting(2, "ID-QE: smoothing steps; 1 = plain, more = chained", minimum=1)
    expansion_own: float = _setting(1.0, "ID-QE: a descriptor's own weight, against 1 for a match of 100 inliers")
    expansion_confidence: float = _setting(2.0, "ID-QE: -log10(false alarms) at which a match has half its weight")
    few_edges: float = _setting(0.02, "ID-QE: a round that adds fewer, of all accepted matches, is the last")
    similarity_weight: float = _setting(10.0, "lambda: edge weight = inliers + lambda * similarity")
    far_apart: float = _setting(3000.0, "metres between the cameras of a match beyond which `lmr review` asks first")
    turns: str = _setting(
        "auto", "try photos turned and mirrored: on, off; auto = at search, and at link without networks"
    )
    prune: bool = _setting(False, "whether ingest takes out images whose last photo is gone or shows something else")
    workers: int = _setting(0, "worker processes; 0 = one a core")
    engine: str = _setting("local", "where photos are described and pairs verified: local, ray")
    ray_address: str = _setting(
        "",
        "a Ray cluster: host:6379, ray://host:10001, auto; empty = one begun here",
        env="RAY_ADDRESS",
    )
    max_pixels: int = _setting(150_000_000, "a photo with more pixels is set aside", minimum=1)
    max_bytes: int = _setting(256 * 2**20, "a larger file is set aside", minimum=1)
    min_side: int = _setting(16, "a photo with a shorter side, in px, is set aside", minimum=1)
    max_seconds: float = _setting(30.0, "a photo that takes longer to decode, in seconds, is set aside", minimum=0.1)
    ledger: str = _setting(
        "", "a PostgreSQL for the ledger: postgresql://user@host:5432/database; empty = SQLite in the folder"
    )
    storage: str = _setting(
        "", "where a new collection's features lie: a folder, s3://bucket/prefix?region=…; empty = in the ledger"
    )
    ledger_password: str = _setting("", "its password", secret=True)
    neo4j_uri: str = _setting("", "an external Neo4j; empty = the local one", env="NEO4J_URI")
    neo4j_username: str = _setting("neo4j", "its user", env="NEO4J_USERNAME")
    neo4j_password: str = _setting("", "its password", env="NEO4J_PASSWORD", secret=True)
    neo4j_database: str = _setting("neo4j", "its database", env="NEO4J_DATABASE")
    milvus_uri: str = _setting("", "an external Milvus; empty = the local Milvus Lite")
    milvus_token: str = _setting("", "its token", secret=True)
    heap_mb: int = _setting(0, "heap of the local Neo4j in MB; 0 = a quarter of memory, at most 4096")
    java_options: str = _setting("-XX:+UseParallelGC", "options for the local Neo4j's Java")
    start_timeout: float = _setting(180.0, "seconds to wait for a local database", minimum=1)
    maven_repository: str = _setting("", "mirror to fetch server jars from; empty = the public one")
    checkpoints: Path = _setting(Path(), "per-user store of network weights; empty = the platform's place")
    device: str = _setting("auto", "where networks run: cpu, cuda, cuda:1, mps; auto = the best there is")
    cache: Path = _setting(Path(), "per-user cache of server jars; empty = the platform's place")

    @property
    def decoding(self) -> dict[str, Any]:
        """The limits of `photos.decode.decode`."""
        return {"max_pixels": self.max_pixels, "min_side": self.min_side, "max_seconds": self.max_seconds}

    @property
    def worker_count(self) -> int:
        """Worker processes to use."""
        if self.workers:
            return self.workers
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Origin:
    """One setting as `lmr config` shows it."""

    name: str
    value: str
    source: str
    about: str


SETTINGS_FILE = "settings.toml"


def variable(spec: dataclasses.Field[Any]) -> str:
    """Name of the environment variable of a setting."""
    return spec.metadata["env"] or f"LMR_{spec.name.upper()}"


def load(
    flags: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None
) -> tuple[Settings, dict[str, str]]:
    """Settings and the source of each, from flags (None = not given), environment, file and defaults.

    Raises UsageError if a value is not of its type, or a file names a setting that does not exist.
    """
    env = os.environ if env is None else env
    flags = {name: value for name, value in (flags or {}).items() if value is not None}
    home = Path(flags.get("home") or env.get("LMR_HOME") or Settings().home)
    file = _read_file(home / SETTINGS_FILE)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for spec in fields(Settings):
        name, key = spec.name, variable(spec)
        for source, found in (("flag", flags), (key, env), (SETTINGS_FILE, file)):
            at = key if found is env else name
            if at in found and found[at] != "":
                values[name], sources[name] = _convert(spec, found[at], source), source
                break
        else:
            sources[name] = "default"
    return Settings(**values), sources


def origins(settings: Settings, sources: Mapping[str, str]) -> list[Origin]:
    """A row for each setting; secrets are not shown."""
    rows = []
    for spec in fields(Settings):
        value = getattr(settings, spec.name)
        shown = ("(set)" if value else "") if spec.metadata["secret"] else without_password(str(value))
        rows.append(Origin(spec.name, shown, sources[spec.name], f"{spec.metadata['about']} [{variable(spec)}]"))
    return rows


def without_password(value: str) -> str:
    """An address of PostgreSQL or of a storage as it may be shown and kept: without passwords; all else as it is."""
    if value.startswith(STORAGES):
        return _without_credentials(value)
    if not value.startswith(POSTGRES):
        return value
    scheme, rest = value.split("://", 1)
    before, mark, query = rest.partition("?")
    user, at, place = before.rpartition("@")
    kept = [part for part in query.split("&") if "password" not in unquote(part.partition("=")[0]).lower()]
    return f"{scheme}://{user.partition(':')[0]}{at}{place}{mark if any(kept) else ''}{'&'.join(kept)}"


def storage_address(address: str) -> str:
    """An address as it is kept and compared: folders by their whole path. Raises UsageError for one of another kind."""
    if "://" not in address:
        return os.path.abspath(os.path.expanduser(address)) if address else ""
    if not address.startswith(("file:///", *STORAGES)):
        raise UsageError(
            f"the setting `storage` is a folder, file:///…, or an address such as s3://bucket/prefix?region=eu-west-1, "
            f"not {without_password(address)}"
        )
    return address if "?" in address else address.rstrip("/")


def _without_credentials(value: str) -> str:
    scheme, rest = value.split("://", 1)
    place, _, query = _CREDENTIALS.sub("", rest).partition("?")
    kept = "&".join(part for part in query.split("&") if not _SECRET.search(unquote(part.partition("=")[0])))
    return f"{scheme}://{place}{'?' if kept else ''}{kept}"


def _read_file(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error
    known = {spec.name for spec in fields(Settings) if not spec.metadata["secret"]} - {"home"}
    ledger = values.get("ledger", "")
    if isinstance(ledger, str) and without_password(ledger) != ledger:
        raise UsageError(f"{path} holds a password in `ledger`; take it out, and put it into LMR_LEDGER_PASSWORD")
    storage = values.get("storage", "")
    if isinstance(storage, str) and without_password(storage) != storage:
        raise UsageError(f"{path} holds a password in `storage`; take it out, and put it where its programs read it")
    if unknown := sorted(set(values) - known):
        raise UsageError(f"{path} sets {', '.join(unknown)}, which it cannot; `lmr config` lists the settings")
    return values


def _convert(spec: dataclasses.Field[Any], value: Any, source: str) -> Any:
    kind: type[Any] = type(spec.default)
    try:
        converted = _truth(value) if kind is bool else kind(value)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{spec.name} from {source} is {value!r}, not a valid {kind.__name__}") from error
    if kind in (int, float) and not converted >= spec.metadata["minimum"]:
        raise UsageError(f"{spec.name} from {source} is {value}; the least is {spec.metadata['minimum']}")
    if kind in (int, float) and converted > spec.metadata["maximum"]:
        raise UsageError(f"{spec.name} from {source} is {value}; the most is {spec.metadata['maximum']}")
    return converted


def _truth(value: Any) -> bool:
    """What people write for yes and no. Raises ValueError."""
    found = {"true": True, "on": True, "yes": True, "1": True, "false": False, "off": False, "no": False, "0": False}
    try:
        return found[str(value).strip().lower()]
    except KeyError:
        raise ValueError(value) from None
