"""What can go wrong, by what the user can do about it.

LmrError                 one base to catch; its text says what, which, and what to try
├── UsageError           the request itself cannot be done (exit code 2)
├── CollectionError      the collection is missing, damaged, of another format or preset
├── CheckpointError      a checkpoint is damaged, of an unknown kind, or not at hand
├── BusyError            another process is writing to the collection
├── PhotoError           a photo cannot be used; its text is the reason kept in the ledger
├── QueryFileError       a file under cypher/ contradicts its header
└── ServerError          a database cannot be fetched, started or reached
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


class CheckpointError(LmrError):
    """A checkpoint is damaged, of an unknown kind, or not at hand."""


class BusyError(LmrError):
    """Another process is writing to the collection."""


class PhotoError(LmrError):
    """A photo cannot be used; the text is the reason kept in the ledger."""


class QueryFileError(LmrError):
    """A file under cypher/ contradicts its header; the text starts with file:line."""


class ServerError(LmrError):
    """A database cannot be fetched, started or reached."""


class DownloadError(ServerError):
    """A file could not be fetched, or is not the one expected."""
