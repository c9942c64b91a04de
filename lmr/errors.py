"""What can go wrong, by what the user can do about it.

LmrError                 one base to catch; its text says what, which, and what to try
├── UsageError           the request itself cannot be done (exit code 2)
├── CollectionError      the collection is missing, damaged, of another format or preset
│   └── OutdatedError    it is no longer as it was when a search or a snapshot was made of it
├── CheckpointError      a checkpoint is damaged, of an unknown kind, or not at hand
├── BusyError            another process is writing to the collection
├── PhotoError           a photo cannot be used; its text is the reason kept in the ledger
│   └── UnreadError      its file cannot be read now; every ingest tries it again
├── QueryFileError       a file under cypher/ contradicts its header
├── WorkerDied           the process that worked on something was killed or crashed
├── EngineError          what the work is to run on is not there, cannot be reached, or does not fit this lmr
├── StorageError         a file cannot be written (the disk is full, the folder read-only), or a storage reached
└── DatabaseError        a database does not do what it should
    ├── RefusedError     a query failed in it
    └── ServerError      it cannot be fetched, started or reached
        ├── ImportFailedError  the offline importer made no database; the one that was there is as it was
        ├── BrokenServerError  it runs, and does nothing until it is restarted
        └── DownloadError    a file could not be fetched, or is not the one expected
"""


class LmrError(Exception):
    """Base of every error that lmr raises on purpose."""

    exit_code = 1


class UsageError(LmrError):
    """The request itself cannot be done."""

    exit_code = 2


class CollectionError(LmrError):
    """The collection is missing, damaged, or of another format or preset."""


class OutdatedError(CollectionError):
    """The collection is no longer as it was when a search or a snapshot was made of it."""


class CheckpointError(LmrError):
    """A checkpoint is damaged, of an unknown kind, or not at hand."""


class BusyError(LmrError):
    """Another process is writing to the collection."""


class PhotoError(LmrError):
    """A photo cannot be used; the text is the reason kept in the ledger."""


class UnreadError(PhotoError):
    """The file cannot be read now; every ingest tries it again."""


class QueryFileError(LmrError):
    """A file under cypher/ contradicts its header; the text starts with file:line."""


class StorageError(LmrError):
    """A file cannot be written: the disk is full, or the folder is read-only; or a storage cannot be reached."""


class WorkerDied(LmrError):
    """The process that worked on an item was killed or crashed."""


class EngineError(LmrError):
    """What the work is to run on is not there, cannot be reached, or does not fit this lmr."""


class DatabaseError(LmrError):
    """A database does not do what it should."""


class RefusedError(DatabaseError):
    """A query failed in a database."""


class ServerError(DatabaseError):
    """A database cannot be fetched, started or reached."""


class ImportFailedError(ServerError):
    """The offline importer did not make a database; the one that was there is as it was."""


class BrokenServerError(ServerError):
    """A database runs, and does nothing until it is restarted."""


class DownloadError(ServerError):
    """A file could not be fetched, or is not the one expected."""
