"""The address of a server, as people give it."""

from __future__ import annotations

import ipaddress
from urllib.parse import parse_qs, urlsplit

from lmr.errors import UsageError

API = "/api/v1"


def parts(address: str) -> tuple[str, str | None]:
    """The server's address without its token, and the token.

    Raises UsageError for what is none; its text does not repeat what may hold a token.
    """
    example = "give an address such as http://127.0.0.1:8765"
    try:
        found = urlsplit(address.strip())
        found.port  # noqa: B018  raises for what is no port
    except (ValueError, AttributeError):
        raise UsageError(f"this is no address of a server: {example}") from None
    if found.scheme not in ("http", "https") or not found.hostname:
        raise UsageError(f"this is no address of a server: {example}")
    if "@" in found.netloc:
        raise UsageError(f"an address with a user's name is not taken: {example}, and token=")
    path = found.path.rstrip("/").removesuffix(API)
    tokens = parse_qs(found.query).get("token")
    return f"{found.scheme}://{found.netloc}{path}", tokens[0] if tokens else None


def is_loopback(base: str) -> bool:
    """Whether an address is of this machine."""
    host = urlsplit(base).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
