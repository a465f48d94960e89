"""A Hub on loopback that takes pushes: repositories in memory, the API that its client asks, and faults on demand."""

import base64
import fnmatch
import hashlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import _http

from tests.loopback import LoopbackServer

RIGHT, READ_ONLY = "hf_right0123456789", "hf_readonly0123456789"
"""A token that may write to `me` and `team`, and one that may not."""
LARGE_FILES = (".safetensors", ".onnx", ".bin")


@dataclass
class Repository:
    """One repository: its files now, and those after each commit."""

    private: bool = False
    files: dict[str, bytes] = field(default_factory=lambda: {".gitattributes": b"*.safetensors filter=lfs\n"})
    commits: list[dict[str, bytes]] = field(default_factory=list)

    @property
    def sha(self) -> str:
        return hashlib.sha1(repr(len(self.commits)).encode()).hexdigest()

    @property
    def model(self) -> dict[str, bytes]:
        """Return the files that were pushed."""
        return {name: data for name, data in self.files.items() if name != ".gitattributes"}


@dataclass(frozen=True)
class Fault:
    """What is wrong with one kind of request: an answer, or the connection is cut before or after it is done."""

    status: int = 0
    error: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False


class StandInHub:
    """A Hub that takes pushes."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.blobs: dict[str, bytes] = {}
        self.asked: list[str] = []
        """Each request, as `create` or `commit`."""
        self.tokens: dict[str, set[str]] = {}
        """By repository, the tokens that it was asked with."""
        self.faults: dict[str, Fault] = {}
        self.during: Callable[[str], None] = lambda step: None
        """Called at each request."""
        self._server = LoopbackServer(self.answer)
        self.url, self.close = self._server.url, self._server.close

    def answer(self, to: BaseHTTPRequestHandler) -> None:
        body, path = _body(to), to.path.partition("?")[0].strip("/")
        step, name = _step(to.command, path, body)
        self.asked.append(step)
        token = to.headers.get("Authorization", "").removeprefix("Bearer ")
        self.tokens.setdefault(name, set()).add(token)
        self.during(step)
        fault = self.faults.get(step)
        if fault and not fault.after:
            _fail(to, fault)
            return
        refusal = None if step == "put" else _refusal(step, name, token)
        status, found = refusal or getattr(self, f"_{step}")(name, path, body)
        if fault:
            _fail(to, fault)
        else:
            _send(to, status, found)

    def _look(self, name: str, path: str, body: bytes) -> tuple[int, Any]:
        repository = self.repositories.get(name)
        if repository is None:
            return 404, {"error": "Repository not found", "code": "RepoNotFound"}
        files = [{"rfilename": file} for file in repository.files]
        return 200, {"id": name, "sha": repository.sha, "private": repository.private, "siblings": files}

    def _create(self, name: str, path: str, body: bytes) -> tuple[int, Any]:
        if name in self.repositories:
            return 409, {"error": "You already created this model repo"}
        given = json.loads(body)
        self.repositories[name] = Repository(given.get("visibility") == "private" or bool(given.get("private")))
        return 200, {"url": f"{self.url}/{name}"}

    def _delete(self, name: str, path: str, body: bytes) -> tuple[int, Any]:
        del self.repositories[name]
        return 200, {}

    def _whoami(self, name: str, path: str, body: bytes) -> tuple[int, Any]:
        return 200, {"type": "user", "name": "me", "fullname": "Me", "avatarUrl": "/me.png"}

    def _card(self, name: str, path: str, body: bytes) -> tuple[int, Any]:
        return 200, {"errors": [], "warnings": []}

    def _preupload(self, name: str, path: str, body: bytes) -> tuple[int, Any]:
        given, files = json.loads(body), self.repositories[name].files
        ignored = given.get("gitIgnore", files.get(".gitignore", b"").decode()).split()
        return 200, {"files": [_mode(file["path"], files.get(file["path"]), ignored) for file in given["files"]]}

    def _lfs(self, name: str, path: str, body: bytes) -> tuple[int, Any]:
        objects = [
            {
                **one,
                **({} if one["oid"] in self.blobs else {"actions": {"upload": {"href": f"{self.url}/{one['oid']}"}}}),
            }
            for one in json.loads(body)["objects"]
        ]
        return 200, {"transfer": "basic", "objects": objects}

    def _put(self, name: str, path: str, body: bytes) -> tuple[int, Any]:
        assert hashlib.sha256(body).hexdigest() == path
        self.blobs[path] = body
        return 200, {}

    def _commit(self, name: str, path: str, body: bytes) -> tuple[int, Any]:
        repository, files = self.repositories[name], dict(self.repositories[name].files)
        header, *changes = [(line["key"], line["value"]) for line in map(json.loads, body.splitlines())]
        if header[1].get("parentCommit", repository.sha) != repository.sha:
            return 412, {"error": "A commit has happened since. Please refresh and try again."}
        for key, value in changes:
            if key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile":
                files[value["path"]] = self.blobs[value["oid"]]
            else:
                del files[value["path"]]
        repository.files = files
        repository.commits.append(files)
        return 200, {"commitUrl": f"{self.url}/{name}/commit/{repository.sha}", "commitOid": repository.sha}


@contextmanager
def reached(monkeypatch: pytest.MonkeyPatch, hub: StandInHub) -> Iterator[StandInHub]:
    """Send all requests for the Hub to this one, without the pauses of its client, and with nobody logged in."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "/nowhere/token")
    monkeypatch.setattr(_http, "time", SimpleNamespace(**{**vars(time), "sleep": lambda seconds: None}))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    yield hub
    hub.close()


def _step(command: str, path: str, body: bytes) -> tuple[str, str]:
    """Return what a request asks for, and of which repository."""
    parts = path.split("/")
    if parts[:2] == ["api", "repos"]:
        given = json.loads(body)
        return parts[2], f"{given['organization']}/{given['name']}"
    if path in ("api/validate-yaml", "api/whoami-v2"):
        return ("card" if path.endswith("yaml") else "whoami"), ""
    if parts[:2] == ["api", "models"]:
        return parts[4] if command == "POST" else "look", "/".join(parts[2:4])
    return ("put", "") if command == "PUT" else ("lfs", "/".join(parts[:2]).removesuffix(".git"))


def _refusal(step: str, name: str, token: str) -> tuple[int, Any] | None:
    if token not in (RIGHT, READ_ONLY):
        return 401, {"error": "Invalid credentials in Authorization header"}
    if step not in ("look", "card", "whoami") and (token == READ_ONLY or name.split("/")[0] not in ("me", "team")):
        return 403, {"error": f"You don't have the rights to create a model under the namespace {name.split('/')[0]}"}
    return None


def _mode(path: str, stored: bytes | None, ignored: list[str]) -> dict[str, Any]:
    large = path.endswith(LARGE_FILES)
    mode = {"path": path, "uploadMode": "lfs" if large else "regular"}
    mode["shouldIgnore"] = any(fnmatch.fnmatchcase(path, rule) for rule in ignored)
    if stored is not None:
        git = hashlib.sha1(b"blob %d\0" % len(stored) + stored).hexdigest()
        mode["oid"] = hashlib.sha256(stored).hexdigest() if large else git
    return mode


def _body(to: BaseHTTPRequestHandler) -> bytes:
    if to.headers.get("Transfer-Encoding", "") != "chunked":
        return to.rfile.read(int(to.headers.get("Content-Length", 0)))
    data = b""
    while size := int(to.rfile.readline(), 16):
        data += to.rfile.read(size)
        to.rfile.readline()
    return data


def _fail(to: BaseHTTPRequestHandler, fault: Fault) -> None:
    if fault.status:
        _send(to, fault.status, {"error": fault.error}, fault.headers)
        return
    to.close_connection = True
    to.connection.shutdown(socket.SHUT_RDWR)


def _send(to: BaseHTTPRequestHandler, status: int, found: Any, headers: dict[str, str] | None = None) -> None:
    data = json.dumps(found).encode()
    sent = {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}
    if isinstance(found, dict) and "code" in found:
        sent["X-Error-Code"] = found["code"]
    if status == 401:
        sent["X-Error-Message"] = found["error"]
    to.send_response(status)
    for key, value in sent.items():
        to.send_header(key, value)
    to.end_headers()
    to.wfile.write(data)
