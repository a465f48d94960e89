"""A Hub on loopback, for tests that may reach no other."""

import json
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.loopback import LoopbackServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FakeHub:
    """A fake Hub: folders by id, and what was asked of it."""

    def __init__(self) -> None:
        self.models: dict[str, Path] = {}
        self.asked: list[str] = []
        self._server = LoopbackServer(lambda to: self.answer(to, body=to.command != "HEAD"))
        self.url, self.close = self._server.url, self._server.close

    def answer(self, to: BaseHTTPRequestHandler, body: bool) -> None:
        path = to.path.partition("?")[0]
        self.asked.append(f"{to.command} {path}")
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            self._info(to, "/".join(parts[2:4]), parts[5] if len(parts) > 5 else "main")
        else:
            self._file(to, "/".join(parts[:2]), "/".join(parts[4:]), body)

    def _info(self, to: BaseHTTPRequestHandler, hub_id: str, revision: str) -> None:
        folder = self.models.get(hub_id)
        if folder is None or revision not in ("main", "v1", COMMIT):
            self._send(to, 404, {"X-Error-Code": "RepoNotFound" if folder is None else "RevisionNotFound"})
            return
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        files = [{"rfilename": str(path.relative_to(folder)), "size": path.stat().st_size} for path in paths]
        info = json.dumps({"id": hub_id, "sha": COMMIT, "siblings": files}).encode()
        self._send(to, 200, {"Content-Type": "application/json"}, info)

    def _file(self, to: BaseHTTPRequestHandler, hub_id: str, name: str, body: bool) -> None:
        path = self.models.get(hub_id, Path("/nowhere")) / name
        if not path.is_file():
            self._send(to, 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
            return
        data, status = path.read_bytes(), 200
        headers = {"ETag": f'"{len(data)}-{name.replace("/", "-")}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if "Range" in to.headers:
            first, _, last = to.headers["Range"].removeprefix("bytes=").partition("-")
            end = min(int(last) if last else len(data) - 1, len(data) - 1)
            headers["Content-Range"] = f"bytes {first}-{end}/{len(data)}"
            data, status = data[int(first) : end + 1], 206
        self._send(to, status, headers, data, body)

    def _send(self, to: BaseHTTPRequestHandler, status: int, headers: dict[str, str], data=b"", body=True) -> None:
        to.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(data))}.items():
            to.send_header(key, value)
        to.end_headers()
        if body:
            to.wfile.write(data)


def reach(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Send all requests for the Hub to this address."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
