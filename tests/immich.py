"""A stand-in for an immich server: the calls that albums take, with the answers of its published OpenAPI document.

Version 2 names an album's owner in `ownerId`, version 3 among `albumUsers`; version 2 wants a device of what is sent.
"""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "secret-key-" + "k" * 20
ME, OTHER = (str(uuid.UUID(int=k, version=4)) for k in (1, 2))


class Immich:
    """What a server holds. `instead` answers a call in its place: (path) -> (code, body, headers) or None."""

    def __init__(self, major: int) -> None:
        self.major = major
        self.assets: dict[str, dict[str, Any]] = {}  # by SHA-1
        self.albums: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, str]] = []
        self.instead: Callable[[str], tuple[int, Any, dict[str, str]] | None] = lambda path: None

    @property
    def changes(self) -> list[tuple[str, str]]:
        """Requests that change something."""
        reads = ("/api/assets/bulk-upload-check", "/api/search/metadata")
        return [(method, path) for method, path in self.asked if method != "GET" and path not in reads]

    def hold(self, data: bytes, *, trashed: bool = False) -> str:
        """Keep a photo; its id."""
        id = str(uuid.uuid4())
        self.assets[hashlib.sha1(data).hexdigest()] = {"id": id, "trashed": trashed, "bytes": data}
        return id

    def album(self, name: str, *photos: str, owner: str = ME) -> str:
        """Keep an album; its id."""
        id = str(uuid.uuid4())
        self.albums[id] = {"id": id, "albumName": name, "owner": owner, "assets": list(photos), "description": ""}
        return id

    def named(self, name: str) -> dict[str, Any]:
        """The only album of a name."""
        (found,) = (album for album in self.albums.values() if album["albumName"] == name)
        return found

    def answer(self, method: str, path: str, body: bytes, headers: Any) -> tuple[int, Any]:
        """What a call gives."""
        call = method, path.removeprefix("/api")
        if call == ("GET", "/server/version"):
            return 200, {"major": self.major, "minor": 1, "patch": 0}
        if headers["x-api-key"] != KEY:
            return 401, {"message": "Invalid API key", "error": "Unauthorized", "statusCode": 401}
        if call == ("GET", "/users/me"):
            return 200, {"id": ME, "email": "me@example.org", "name": "Me"}
        if call == ("POST", "/assets"):
            return self._sent(body, headers)
        asked = json.loads(body or b"{}")
        if call == ("POST", "/assets/bulk-upload-check"):
            return 200, {"results": [self._checked(one) for one in asked["assets"]]}
        if call == ("GET", "/albums"):
            return 200, [self._told(album) for album in self.albums.values()]
        if call == ("POST", "/albums"):
            id = self.album(asked["albumName"], *asked.get("assetIds", ()))
            self.albums[id]["description"] = asked["description"]
            return 201, self._told(self.albums[id])
        if call == ("POST", "/search/metadata"):
            (album,) = (self.albums[id] for id in asked["albumIds"])
            first = (asked["page"] - 1) * asked["size"]
            shown = album["assets"][first : first + asked["size"]]
            more = str(asked["page"] + 1) if len(album["assets"]) > first + asked["size"] else None
            assets = {"items": [{"id": id} for id in shown], "count": len(shown), "nextPage": more, "facets": []}
            return 200, {"albums": {"items": []}, "assets": assets}
        if method == "PUT" and path.endswith("/assets"):
            return 200, [self._put(self.albums[path.split("/")[-2]], id) for id in asked["ids"]]
        return 404, {"message": f"Cannot {method} {path}"}

    def _checked(self, one: dict[str, str]) -> dict[str, Any]:
        found = self.assets.get(one["checksum"])
        if found is None:
            return {"id": one["id"], "action": "accept"}
        told = {"action": "reject", "reason": "duplicate", "assetId": found["id"], "isTrashed": found["trashed"]}
        return {"id": one["id"], **told}

    def _told(self, album: dict[str, Any]) -> dict[str, Any]:
        told = {key: album[key] for key in ("id", "albumName", "description")}
        if self.major < 3:
            return {**told, "ownerId": album["owner"], "albumUsers": [], "assetCount": len(album["assets"])}
        return {**told, "albumUsers": [{"role": "owner", "user": {"id": album["owner"]}}]}

    def _put(self, album: dict[str, Any], id: str) -> dict[str, Any]:
        if id not in {one["id"] for one in self.assets.values()}:
            return {"id": id, "success": False, "error": "not_found"}
        if id in album["assets"]:
            return {"id": id, "success": False, "error": "duplicate"}
        album["assets"].append(id)
        return {"id": id, "success": True}

    def _sent(self, body: bytes, headers: Any) -> tuple[int, Any]:
        whole = message_from_bytes(f"Content-Type: {headers['content-type']}\n\n".encode() + body)
        fields = {part.get_param("name", header="content-disposition"): part for part in whole.get_payload()}
        needed = {"assetData", "fileCreatedAt", "fileModifiedAt"}
        if not needed | ({"deviceAssetId", "deviceId"} if self.major < 3 else set()) <= fields.keys():
            return 400, {"message": ["a field is missing"]}
        data = fields["assetData"].get_payload(decode=True)
        sha1 = hashlib.sha1(data).hexdigest()
        if sha1 in self.assets:
            return 200, {"id": self.assets[sha1]["id"], "status": "duplicate"}
        return 201, {"id": self.hold(data), "status": "created"}


@contextmanager
def served(immich: Immich) -> Iterator[str]:
    """The server at an address of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            size = self.headers["content-length"]
            body = self.rfile.read(int(size)) if size else self._chunks()
            immich.asked.append((self.command, self.path))
            code, told, headers = immich.instead(self.path) or (
                *immich.answer(self.command, self.path, body, self.headers), {},
            )  # fmt: skip
            data = told if isinstance(told, bytes) else json.dumps(told).encode()
            self.send_response(code)
            for name, value in {"Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def _chunks(self) -> bytes:
            data = b""
            while self.headers["transfer-encoding"] and (size := int(self.rfile.readline(), 16)):
                data += self.rfile.read(size)
                self.rfile.readline()
            return data

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = handle_one

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
