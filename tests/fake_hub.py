"""A Hugging Face hub on loopback, as far as `huggingface_hub` and `datasets` ask it: repositories with commits, tokens,
private and gated ones. Nothing is kept but in memory."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = (".safetensors", ".parquet", ".png", ".zip", ".bin")
KINDS = {"models": "model", "datasets": "dataset"}


@dataclass
class Repo:
    """A repository: its commits, each all of its files by path, the newest last."""

    private: bool = False
    gated: bool = False
    commits: list[dict[str, bytes]] = field(default_factory=lambda: [{".gitattributes": b""}])

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[-1]

    def sha(self, number: int) -> str:
        text = json.dumps([number, sorted((path, sha256(data)) for path, data in self.commits[number].items())])
        return hashlib.sha1(text.encode()).hexdigest()

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """The commit of a revision, and its files."""
        if revision == "main":
            return self.sha(len(self.commits) - 1), self.files
        for number, files in enumerate(self.commits):
            if revision in (self.sha(number), f"v{number}"):
                return self.sha(number), files
        return None


@dataclass
class Hub:
    """The hub: repositories by kind and name, users by token, and every request that was made."""

    repos: dict[tuple[str, str], Repo] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=lambda: {"hf_token": "somebody"})
    blobs: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    failing: Callable[[str, str], int | None] = lambda method, path: None  # a status for a request that shall fail
    address: str = ""

    def put(self, name: str, files: dict[str, bytes], kind: str = "model", **properties: bool) -> Repo:
        """A repository with a commit of these files."""
        repo = self.repos.setdefault((kind, name), Repo(**properties))
        repo.commits.append({**repo.files, **files})
        return repo

    @property
    def fetched(self) -> list[str]:
        """The files whose content was asked for."""
        asked = (re.fullmatch(r"GET .*/resolve/[^/]+/(.+)", one) for one in self.requests)
        return [match[1] for match in asked if match]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Refusal(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        self.status, self.code, self.message = status, code, message


class Handler(BaseHTTPRequestHandler):
    """Answers for `server.hub`."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_PUT = do_GET

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = self._chunks()
        try:
            if status := self.hub.failing(self.command, path):
                raise Refusal(status, message="as the test wants it")
            for pattern, method in ROUTES:
                if found := re.fullmatch(pattern, path):
                    answer = method(self, body, **found.groupdict())
                    if answer is not None:
                        self._send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})
                    return
            raise Refusal(404, message=f"no route for {path}")
        except Exception as error:
            refusal = error if isinstance(error, Refusal) else Refusal(400, message=f"the fake hub fails: {error!r}")
            headers = {"X-Error-Code": refusal.code, "X-Error-Message": refusal.message}
            body = json.dumps({"error": refusal.message}).encode()
            self._send(refusal.status, body, {name: value for name, value in headers.items() if value})

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    @property
    def user(self) -> str | None:
        return self.hub.users.get(self.headers.get("Authorization", "").removeprefix("Bearer "))

    def _repo(self, kind: str, name: str, write: bool = False) -> Repo:
        repo = self.hub.repos.get((kind, name))
        owner = name.split("/")[0]
        if repo is None or (repo.private and self.user != owner):
            raise Refusal(401 if self.user is None else 404, "RepoNotFound", "Repository not found")
        if repo.gated and self.user is None:
            raise Refusal(401, "GatedRepo", "Access is restricted")
        if write and self.user != owner:
            raise Refusal(403, message="Forbidden: you have no right to write here")
        return repo

    def _at(self, kind: str, name: str, revision: str) -> tuple[str, dict[str, bytes]]:
        found = self._repo(kind, name).at(revision)
        if found is None:
            raise Refusal(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return found

    def whoami(self, body: bytes) -> dict:
        if self.user is None:
            raise Refusal(401, message="Invalid credentials in Authorization header")
        return {"name": self.user, "type": "user", "orgs": [], "auth": {"type": "access_token"}}

    def create(self, body: bytes) -> dict:
        asked = json.loads(body)
        owner = asked.get("organization") or self.user
        if self.user is None:
            raise Refusal(401, message="Invalid username or password.")
        if owner != self.user:
            raise Refusal(403, message=f"You don't have the rights to create a model under the namespace {owner}")
        name, kind = f"{owner}/{asked['name']}", asked.get("type", "model")
        if (kind, name) in self.hub.repos:
            raise Refusal(409, message="You already created this model repo")
        self.hub.repos[kind, name] = Repo(private=asked.get("visibility") == "private" or bool(asked.get("private")))
        return {"url": f"{self.hub.address}/{name}"}

    def info(self, body: bytes, kinds: str, name: str, revision: str = "main") -> dict:
        sha, files = self._at(KINDS[kinds], name, revision)
        siblings = [{"rfilename": path} for path in sorted(files)]
        private = self._repo(KINDS[kinds], name).private
        return {"id": name, "modelId": name, "sha": sha, "siblings": siblings, "private": private, "tags": [],
                "downloads": 0, "likes": 0, "disabled": False, "gated": False}  # fmt: skip

    def tree(self, body: bytes, kinds: str, name: str, revision: str, below: str | None = None) -> list[dict]:
        _, files = self._at(KINDS[kinds], name, revision)
        recursive = parse_qs(urlsplit(self.path).query).get("recursive", ["false"])[0].lower() in ("true", "1")
        below = (below or "").strip("/")
        inside = {path: data for path, data in files.items() if not below or path.startswith(f"{below}/")}
        if below and not inside:
            raise Refusal(404, "EntryNotFound", f"{below} does not exist")
        return [one for one in _entries(inside) if recursive or "/" not in one["path"].removeprefix(below).strip("/")]

    def paths_info(self, body: bytes, kinds: str, name: str, revision: str) -> list[dict]:
        _, files = self._at(KINDS[kinds], name, revision)
        asked = parse_qs(body.decode()) if b"=" in body else json.loads(body)
        return [one for one in _entries(files) if one["path"] in asked["paths"]]

    def resolve(self, body: bytes, name: str, revision: str, file: str, kinds: str = "models") -> None:
        sha, files = self._at(KINDS[kinds], name, revision)
        if file not in files:
            raise Refusal(404, "EntryNotFound", f"{file} does not exist")
        data = files[file]
        headers = {"ETag": f'"{sha256(data)}"', "X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
        if asked := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start, end = int(asked[1]), int(asked[2] or len(data) - 1)
            headers["Content-Range"] = f"bytes {start}-{min(end, len(data) - 1)}/{len(data)}"
            self._send(206, data[start : end + 1], headers)
        else:
            self._send(200, data, headers)

    def preupload(self, body: bytes, kinds: str, name: str, revision: str) -> dict:
        self._repo(KINDS[kinds], name, write=True)
        modes = {True: "lfs", False: "regular"}
        return {
            "files": [
                {"path": one["path"], "uploadMode": modes[one["path"].endswith(LARGE)], "shouldIgnore": False}
                for one in json.loads(body)["files"]
            ]
        }

    def batch(self, body: bytes, name: str) -> dict:
        self._repo("model", name, write=True)
        asked = json.loads(body)["objects"]
        actions = {"upload": {"href": f"{self.hub.address}/blobs/OID", "header": {}}}
        return {
            "transfer": "basic",
            "objects": [one | {"actions": json.loads(json.dumps(actions).replace("OID", one["oid"]))} for one in asked],
        }

    def blob(self, body: bytes, oid: str) -> dict:
        assert sha256(body) == oid
        self.hub.blobs[oid] = body
        return {}

    def commit(self, body: bytes, kinds: str, name: str, revision: str) -> dict:
        repo, files = self._repo(KINDS[kinds], name, write=True), {}
        for line in body.decode().splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                files[value["path"]] = self.hub.blobs[value["oid"]]
        repo.commits.append({**repo.files, **files})
        sha = repo.sha(len(repo.commits) - 1)
        return {"commitUrl": f"{self.hub.address}/{name}/commit/{sha}", "commitOid": sha}

    def valid_yaml(self, body: bytes) -> dict:
        return {"errors": [], "warnings": []}


def _entries(files: dict[str, bytes]) -> Iterator[dict]:
    folders = sorted({"/".join(path.split("/")[:depth]) for path in files for depth in range(1, path.count("/") + 1)})
    for folder in folders:
        yield {"type": "directory", "path": folder, "oid": hashlib.sha1(folder.encode()).hexdigest(), "size": 0}
    for path, data in sorted(files.items()):
        yield {"type": "file", "path": path, "oid": hashlib.sha1(data).hexdigest(), "size": len(data)}


REPO = r"(?P<name>[^/]+/[^/]+)"
API = rf"/api/(?P<kinds>models|datasets)/{REPO}"
REVISION = r"(?P<revision>[^/]+)"
ROUTES: list[tuple[str, Callable]] = [
    (r"/api/whoami-v2", Handler.whoami),
    (r"/api/repos/create", Handler.create),
    (r"/api/validate-yaml", Handler.valid_yaml),
    (rf"{API}", Handler.info),
    (rf"{API}/revision/{REVISION}", Handler.info),
    (rf"{API}/tree/{REVISION}(?P<below>/.*)?", Handler.tree),
    (rf"{API}/paths-info/{REVISION}", Handler.paths_info),
    (rf"{API}/preupload/{REVISION}", Handler.preupload),
    (rf"{API}/commit/{REVISION}", Handler.commit),
    (rf"/{REPO}\.git/info/lfs/objects/batch", Handler.batch),
    (r"/blobs/(?P<oid>\w+)", Handler.blob),
    (rf"/(?P<kinds>datasets)/{REPO}/resolve/{REVISION}/(?P<file>.+)", Handler.resolve),
    (rf"/{REPO}/resolve/{REVISION}/(?P<file>.+)", Handler.resolve),
]


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A hub that answers at `address` until the end of the block."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("HubHandler", (Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
