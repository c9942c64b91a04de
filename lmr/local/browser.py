"""Neo4j Browser on a collection: its address, and the guide page whose links prefill the analysts' queries."""

from __future__ import annotations

from urllib.parse import quote

from lmr.local.neo4j import Access


def browser_address(access: Access) -> str:
    """The Browser's page, which then asks for the password."""
    port = access.uri.rsplit(":", 1)[1]
    server = quote(f"neo4j://{access.username}@localhost:{port}", safe="")
    return f"{access.http.replace('127.0.0.1', 'localhost')}/browser/?dbms={server}"
