"""The tables of the ledger's file, and the numbered steps from its older formats to this one."""

from __future__ import annotations

from collections.abc import Callable

from lmr.store.backend import Connection
from lmr.store.facts import Facts
from lmr.store.fingerprints import fill
from lmr.store.pairs import ONLY_MOVED
from lmr.store.state import Marks

FORMAT = 8
# by what their rows are told apart and ordered; those that others refer to come first
KEYS = {
    "meta": "key",
    "models": "name",
    "images": "number",
    "shards": "number",
    "files": "path",
    "features": "number",
    "materials": "number",
    "descriptors": "number",
    "fingerprints": "number",
    "pairs": "seq",
    "verified_anew": "a, b",
    "shown": "a, b",
    "look_alikes": "number",
    "told_apart": "place, other",
    "verdicts": "a, b",
    "removed": "seq",
    "proposed": "number",
    "identities": "pixels",
    "skipped": "root, kind",
}
TABLES = tuple(KEYS)
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE models (name TEXT PRIMARY KEY, data BLOB NOT NULL, checksum INTEGER NOT NULL) STRICT;
CREATE TABLE images (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, width INTEGER NOT NULL, height INTEGER NOT NULL,
    split TEXT NOT NULL CHECK (split IN ('index', 'query')), landmark TEXT, version INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE files (
    path BLOB PRIMARY KEY, name TEXT NOT NULL, size INTEGER NOT NULL, mtime INTEGER NOT NULL,
    image INTEGER REFERENCES images, reason TEXT) STRICT;
CREATE INDEX files_image ON files (image);
CREATE TABLE features (number INTEGER PRIMARY KEY, data BLOB NOT NULL, checksum INTEGER NOT NULL) STRICT;
CREATE TABLE materials (number INTEGER PRIMARY KEY, data BLOB NOT NULL, checksum INTEGER NOT NULL) STRICT;
CREATE TABLE descriptors (number INTEGER PRIMARY KEY, data BLOB NOT NULL, checksum INTEGER NOT NULL) STRICT;
CREATE TABLE pairs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, a INTEGER NOT NULL, b INTEGER NOT NULL, matches INTEGER NOT NULL,
    inliers INTEGER NOT NULL, nfa REAL NOT NULL, geometry BLOB, round INTEGER NOT NULL, excluded TEXT,
    similarity REAL, weight REAL, confirmed INTEGER NOT NULL DEFAULT 0, UNIQUE (a, b)) STRICT;
CREATE INDEX pairs_b ON pairs (b);
CREATE INDEX pairs_weight ON pairs (weight) WHERE weight IS NOT NULL;
"""
_VERDICTS = """
CREATE TABLE verdicts (
    a TEXT NOT NULL, b TEXT NOT NULL, verdict TEXT NOT NULL CHECK (verdict IN ('confirmed', 'rejected')), why TEXT,
    PRIMARY KEY (a, b)) STRICT;
CREATE TABLE removed (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL) STRICT;
CREATE INDEX images_version ON images (version);
"""
_PROPOSED = f"""
CREATE TABLE proposed (number INTEGER PRIMARY KEY, digest INTEGER NOT NULL, reach REAL NOT NULL) STRICT;
CREATE INDEX pairs_moved ON pairs (seq) WHERE {ONLY_MOVED} AND weight IS NOT NULL;
CREATE INDEX pairs_accepted ON pairs (seq) WHERE weight IS NOT NULL AND excluded IS NULL;
"""
# pixels: hash of what a file shows; digest: SHA-256 of its bytes; turn: how the decoded photo is turned before it is
# described; last_path: where an image had its last file; again: to be read again by
# every ingest; sidecar: time stamp of the .xmp beside; about: what the file knows besides pixels, as JSON
_IDENTITY = """
ALTER TABLE images ADD COLUMN pixels TEXT;
ALTER TABLE images ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;
ALTER TABLE images ADD COLUMN turns_tried INTEGER NOT NULL DEFAULT 0;
ALTER TABLE images ADD COLUMN taken_at TEXT;
ALTER TABLE images ADD COLUMN latitude REAL;
ALTER TABLE images ADD COLUMN longitude REAL;
ALTER TABLE images ADD COLUMN last_path BLOB;
ALTER TABLE files ADD COLUMN ctime INTEGER NOT NULL DEFAULT 0;
ALTER TABLE files ADD COLUMN inode INTEGER NOT NULL DEFAULT 0;
ALTER TABLE files ADD COLUMN device INTEGER NOT NULL DEFAULT 0;
ALTER TABLE files ADD COLUMN digest TEXT;
ALTER TABLE files ADD COLUMN again INTEGER NOT NULL DEFAULT 0;
ALTER TABLE files ADD COLUMN sidecar INTEGER NOT NULL DEFAULT 0;
ALTER TABLE files ADD COLUMN about TEXT;
ALTER TABLE verdicts ADD COLUMN at TEXT NOT NULL DEFAULT '';
CREATE TABLE identities (pixels TEXT PRIMARY KEY, id TEXT NOT NULL) STRICT;
CREATE TABLE skipped (
    root BLOB NOT NULL, kind TEXT NOT NULL, count INTEGER NOT NULL, example TEXT NOT NULL,
    PRIMARY KEY (root, kind)) STRICT;
CREATE INDEX files_digest ON files (digest);
CREATE INDEX images_taken_at ON images (taken_at) WHERE taken_at IS NOT NULL;
CREATE INDEX images_latitude ON images (latitude) WHERE latitude IS NOT NULL;
"""
# fingerprints: what made features, descriptors, pairs, and the review of these; verified_anew: outcomes of pairs, the
# smaller number first, that will stand in the place of those of another fingerprint once all are there
_FINGERPRINTS = """
CREATE TABLE fingerprints (
    number INTEGER PRIMARY KEY, kind TEXT NOT NULL, hash TEXT NOT NULL, parameters TEXT NOT NULL,
    UNIQUE (kind, hash)) STRICT;
ALTER TABLE pairs ADD COLUMN fingerprint INTEGER REFERENCES fingerprints;
CREATE TABLE verified_anew (
    a INTEGER NOT NULL, b INTEGER NOT NULL, matches INTEGER NOT NULL, inliers INTEGER NOT NULL, nfa REAL NOT NULL,
    geometry BLOB, artefact TEXT, fingerprint INTEGER NOT NULL REFERENCES fingerprints, PRIMARY KEY (a, b)) STRICT;
"""
# shown: which parts of both photos a match shows; lacks: whether it lacks what is known of these beside (null: to be
# found). look_alikes: the images of places that are told apart from others, each named by one of its images
_LOOK_ALIKES = """
ALTER TABLE verified_anew ADD COLUMN shown BLOB;
CREATE TABLE shown (
    a INTEGER NOT NULL, b INTEGER NOT NULL, data BLOB NOT NULL, lacks INTEGER, PRIMARY KEY (a, b)) STRICT;
CREATE INDEX shown_b ON shown (b);
CREATE INDEX shown_new ON shown (a, b) WHERE lacks IS NULL;
CREATE INDEX shown_lacking ON shown (a, b) WHERE lacks = 1;
CREATE TABLE look_alikes (number INTEGER PRIMARY KEY, place INTEGER NOT NULL) STRICT;
CREATE TABLE told_apart (place INTEGER NOT NULL, other INTEGER NOT NULL, PRIMARY KEY (place, other)) STRICT;
"""
_LOG_NFA = """
ALTER TABLE pairs RENAME COLUMN nfa TO log_nfa;
ALTER TABLE verified_anew RENAME COLUMN nfa TO log_nfa;
"""
# shards: files of features outside of the ledger (see shards), by the SHA-256 of their bytes; of an image whose own lie
# in one, `data` is empty in `features` and `materials`, and checksums are those of what lies in that place
_SHARDS = """
CREATE TABLE shards (
    number INTEGER PRIMARY KEY, storage TEXT NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL,
    photos INTEGER NOT NULL, UNIQUE (storage, sha256)) STRICT;
ALTER TABLE features ADD COLUMN shard INTEGER REFERENCES shards;
ALTER TABLE features ADD COLUMN place INTEGER;
CREATE INDEX features_shard ON features (shard) WHERE shard IS NOT NULL;
"""
EMPTY = (
    "PRAGMA page_size = 16384; PRAGMA journal_mode = WAL;"
    + _SCHEMA
    + _VERDICTS
    + _PROPOSED
    + _IDENTITY
    + _FINGERPRINTS
    + _LOOK_ALIKES
    + _LOG_NFA
    + _SHARDS
)
MIGRATIONS = {  # format -> what makes the next one of it
    1: """
ALTER TABLE images ADD COLUMN version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pairs ADD COLUMN confirmed INTEGER NOT NULL DEFAULT 0;
"""
    + _VERDICTS,
    2: _PROPOSED,
    # until then an image was known by its file's bytes, so these need not be read again to be known
    3: _IDENTITY
    + """
UPDATE files SET digest = (SELECT id FROM images WHERE number = image) WHERE image IN (SELECT number FROM features);
UPDATE images SET last_path = x'' WHERE number NOT IN (SELECT image FROM files WHERE image IS NOT NULL)
    AND number IN (SELECT number FROM features)
""",
    4: _FINGERPRINTS
    + """
DROP INDEX pairs_weight;
CREATE INDEX pairs_weight ON pairs (weight) WHERE weight IS NOT NULL;
UPDATE pairs SET excluded = CASE excluded
    WHEN 'doubted: the refined descriptors disagree' THEN 'doubted'
    WHEN 'artefact: keeps its place in the frame' THEN 'in place'
    WHEN 'artefact: along the border' THEN 'border'
    WHEN 'artefact: the same mark on unrelated photos' THEN 'shared mark'
    ELSE excluded END WHERE excluded IS NOT NULL;
""",
    5: _LOOK_ALIKES,
    6: _LOG_NFA,
    7: _SHARDS,
}
FILLS: dict[int, Callable[[Connection, Callable[[str], str | None]], None]] = {
    4: fill,
    6: lambda db, _: Marks(db, Facts(db)).rebuild(),  # edges of the graph have the older name of it
}  # format -> what fills in, after that, what takes more than statements
