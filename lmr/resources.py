"""Where the files that travel with lmr lie: beside the package in a checkout, inside it in a wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def resource(name: str) -> Path:
    """Path of a shipped file or folder such as `cypher` or `deploy/server-jars.txt`."""
    shipped = _PACKAGE / "shipped" / name
    return shipped if shipped.exists() else _PACKAGE.parent / name
