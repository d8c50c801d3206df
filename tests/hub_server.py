"""A small Hugging Face Hub in memory, for tests: enough of it for the real client to create, push and pull.

Two origins, as in the real one: the Hub on 127.0.0.1 and, for large files, a store on `localhost` that must not be sent
the token. Every response closes its connection, so that no thread outlives the server.
"""

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit


class Request(NamedTuple):
    """One line of the server's log; `path` is unquoted and without its query."""

    method: str
    path: str
    token: str | None


@dataclass
class Fault:
    """What goes wrong with the next `times` requests whose "METHOD path" the regular expression `match` finds."""

    match: str
    status: int | None = None
    """Answer with this status, and `message`, instead."""
    message: str = "injected fault"
    hang_up: bool = False
    """Close the connection without an answer."""
    drop_after: int | None = None
    """Promise the whole body, send so many bytes of it, close the connection."""
    truncate_to: int | None = None
    """Send so many bytes of the body as if they were all."""
    times: int = 1


@dataclass
class Commit:
    oid: str
    message: str
    tree: dict[str, bytes]


@dataclass
class Repository:
    private: bool
    gated: bool = False
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def find(self, revision: str) -> Commit | None:
        return self.commits.get(self.branches.get(revision, revision))


def is_large(path: str) -> bool:
    return path.endswith(".safetensors")


def blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class HubServer:
    """A Hub with one user, `user`, whose token is `token`; use it in a `with`."""

    def __init__(self, *, token: str = "hf_test") -> None:
        self.token = token
        self.repositories: dict[str, Repository] = {}
        self.store: dict[str, bytes] = {}
        self.log: list[Request] = []
        self.faults: list[Fault] = []
        self.card_errors: list[str] = []  # what it has against every README.md
        self.before_request: Callable[[Request], None] | None = None
        """Called before each request is answered, in the server's thread: the place for `commit` to land in between."""
        self.lock = threading.RLock()
        self._servers = [
            ThreadingHTTPServer(("127.0.0.1", 0), type(n, (Handler,), {"hub": self})) for n in ("Hub", "Store")
        ]
        for server in self._servers:
            server.daemon_threads = False  # joined on close
        self._threads = [threading.Thread(target=server.serve_forever, args=(0.02,)) for server in self._servers]
        self.endpoint = f"http://127.0.0.1:{self._servers[0].server_port}"
        self.store_endpoint = f"http://localhost:{self._servers[1].server_port}"

    def __enter__(self) -> "HubServer":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Go away, as a server does that is switched off; what it holds stays readable here."""
        while self._servers:
            server, thread = self._servers.pop(), self._threads.pop()
            server.shutdown()
            thread.join()
            server.server_close()

    def create(self, repo_id: str, *, private: bool = False, gated: bool = False) -> Repository:
        """Make a repository with its first, almost empty commit."""
        repository = self.repositories[repo_id] = Repository(private, gated)
        self.commit(repo_id, {".gitattributes": b"*.safetensors filter=lfs\n"}, message="initial commit")
        return repository

    def commit(self, repo_id: str, files: dict[str, bytes], *, branch: str = "main", message: str = "a push") -> str:
        """Add a commit to a branch, behind every client's back, and give its id."""
        with self.lock:
            repository = self.repositories[repo_id]
            parent = repository.find(branch)
            seed = f"{repo_id} {branch} {len(repository.commits)} {message}"
            oid = hashlib.sha1(seed.encode()).hexdigest()
            tree = {**(parent.tree if parent else {}), **files}
            repository.commits[oid] = Commit(oid, message, tree)
            repository.branches[branch] = oid
            return oid

    def requests(self, match: str) -> list[Request]:
        """The requests so far whose "METHOD path" the regular expression finds."""
        return [request for request in self.log if re.search(match, f"{request.method} {request.path}")]

    def fault_for(self, request: Request) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and re.search(fault.match, f"{request.method} {request.path}"):
                    fault.times -= 1
                    return fault
        return None


class Refusal(Exception):
    def __init__(self, status: int, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"
    timeout = 10

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        # Always read the request to its end: closing a socket with unread bytes resets it under the client.
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        authorization = self.headers.get("Authorization")
        token = authorization.removeprefix("Bearer ") if authorization else None
        request = Request(self.command, unquote(urlsplit(self.path).path), token)
        self.close_connection = True
        with self.hub.lock:
            self.hub.log.append(request)
            if self.hub.before_request is not None:
                self.hub.before_request(request)
        self.fault = self.hub.fault_for(request)
        if self.fault is not None and self.fault.hang_up:
            return
        try:
            if self.fault is not None and self.fault.status is not None:
                raise Refusal(self.fault.status, self.fault.message)
            with self.hub.lock:
                answer = self.route(request, body)
            self.send(*answer)
        except Refusal as refusal:
            headers = {"X-Error-Message": str(refusal)} | ({"X-Error-Code": refusal.code} if refusal.code else {})
            self.send_json({"error": str(refusal)}, status=refusal.status, headers=headers)

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def send_json(self, value: object, *, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send(status, {"Content-Type": "application/json", **(headers or {})}, json.dumps(value).encode())

    def send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if wanted and status == 200:
            first, last = int(wanted[1]), min(int(wanted[2] or len(body) - 1), len(body) - 1)
            headers = {**headers, "Content-Range": f"bytes {first}-{last}/{len(body)}"}
            status, body = 206, body[first : last + 1]
        if self.fault is not None and self.fault.truncate_to is not None:
            body = body[: self.fault.truncate_to]
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body)), "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body if self.fault is None else body[: self.fault.drop_after])

    # What is asked for, and who may have it.

    def route(self, request: Request, body: bytes) -> tuple[int, dict[str, str], bytes]:
        method, path = request.method, urlsplit(self.path).path
        for methods, pattern, answer in ROUTES:
            found = re.fullmatch(pattern, path)
            if method in methods.split() and found:
                result = answer(self, body, *[unquote(group) for group in found.groups()])
                if isinstance(result, tuple):
                    return result
                return 200, {"Content-Type": "application/json"}, json.dumps(result).encode()
        raise Refusal(404, f"this Hub does not know {method} {path}")

    def user(self, *, needed: bool) -> str | None:
        authorization = self.headers.get("Authorization")
        if authorization is None and not needed:
            return None
        if authorization != f"Bearer {self.hub.token}":
            raise Refusal(
                401, "Invalid credentials in Authorization header" if authorization else "Invalid username or password."
            )
        return "user"

    def repository(self, repo_id: str, *, to_write: bool = False) -> Repository:
        user = self.user(needed=to_write)
        repository = self.hub.repositories.get(repo_id)
        if repository is None or (repository.private and user is None):
            raise Refusal(404 if user else 401, "Repository not found", code="RepoNotFound")
        return repository

    def find(self, repo_id: str, revision: str) -> Commit:
        commit = self.repository(repo_id).find(revision)
        if commit is None:
            raise Refusal(404, f"Invalid rev id: {revision}", code="RevisionNotFound")
        return commit

    # The Hub's pages.

    def create(self, body: bytes) -> Any:
        user, asked = self.user(needed=True), json.loads(body)
        repo_id = f"{asked.get('organization') or user}/{asked['name']}"
        url = {"url": f"{self.hub.endpoint}/{repo_id}"}
        if not repo_id.startswith(f"{user}/"):
            raise Refusal(403, f"You don't have the rights to create a model under the namespace {repo_id!r}")
        if repo_id in self.hub.repositories:
            return 409, {}, json.dumps({"error": "You already created this model repo", **url}).encode()
        self.hub.create(repo_id, private=asked.get("private", asked.get("visibility") == "private"))
        return url

    def validate(self, body: bytes) -> Any:
        errors = [{"message": message} for message in self.hub.card_errors]
        return (400 if errors else 200), {}, json.dumps({"errors": errors, "warnings": []}).encode()

    def info(self, body: bytes, repo_id: str, revision: str = "main") -> Any:
        commit = self.find(repo_id, revision)
        repository = self.hub.repositories[repo_id]
        files = [{"rfilename": path} for path in commit.tree]
        facts = {"private": repository.private, "gated": repository.gated, "tags": [], "downloads": 0, "likes": 0}
        return {"id": repo_id, "modelId": repo_id, "sha": commit.oid, "siblings": files, **facts}

    def tree(self, body: bytes, repo_id: str, revision: str) -> Any:
        listing = []
        for path, data in self.find(repo_id, revision).tree.items():
            entry: dict[str, Any] = {"type": "file", "path": path, "size": len(data), "oid": blob_id(data)}
            if is_large(path):
                entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
            listing.append(entry)
        return listing

    def resolve(self, body: bytes, repo_id: str, revision: str, path: str) -> Any:
        repository, commit = self.repository(repo_id), self.find(repo_id, revision)
        if repository.gated:
            raise Refusal(403, f"Access to model {repo_id} is restricted", code="GatedRepo")
        data = commit.tree.get(path)
        if data is None:
            raise Refusal(404, "Entry not found", code="EntryNotFound")
        if not is_large(path):
            return 200, {"X-Repo-Commit": commit.oid, "ETag": f'"{blob_id(data)}"'}, data
        sha256 = hashlib.sha256(data).hexdigest()
        self.hub.store[sha256] = data
        linked = {"X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(data))}
        location = {"Location": f"{self.hub.store_endpoint}/store/{sha256}"}
        return 302, {"X-Repo-Commit": commit.oid, "ETag": f'"{sha256}"', **linked, **location}, b""

    def branch(self, body: bytes, repo_id: str, branch: str) -> Any:
        repository = self.repository(repo_id, to_write=True)
        if branch in repository.branches:
            raise Refusal(409, "Reference already exists")
        start = repository.find(json.loads(body or b"{}").get("startingPoint", "main"))
        if start is None:
            raise Refusal(404, "Invalid starting point", code="RevisionNotFound")
        repository.branches[branch] = start.oid
        return {}

    def preupload(self, body: bytes, repo_id: str, revision: str) -> Any:
        self.repository(repo_id, to_write=True)
        known, files = self.find(repo_id, revision).tree, []
        for entry in json.loads(body)["files"]:
            path = entry["path"]
            answer = {"path": path, "uploadMode": "lfs" if is_large(path) else "regular", "shouldIgnore": False}
            if path in known:
                answer["oid"] = hashlib.sha256(known[path]).hexdigest() if is_large(path) else blob_id(known[path])
            files.append(answer)
        return {"files": files}

    def batch(self, body: bytes, repo_id: str) -> Any:
        self.repository(repo_id, to_write=True)
        objects = json.loads(body)["objects"]
        for entry in objects:
            if entry["oid"] not in self.hub.store:
                upload = {"href": f"{self.hub.store_endpoint}/store/{entry['oid']}"}
                verify = {"href": f"{self.hub.endpoint}/{repo_id}.git/info/lfs/objects/verify"}
                entry["actions"] = {"upload": upload, "verify": verify}
        return {"transfer": "basic", "objects": objects}

    def verify(self, body: bytes, repo_id: str) -> Any:
        self.repository(repo_id, to_write=True)
        asked = json.loads(body)
        if len(self.hub.store.get(asked["oid"], b"")) != asked["size"]:
            raise Refusal(422, "the object did not arrive whole")
        return {}

    def push(self, body: bytes, repo_id: str, branch: str) -> Any:
        repository = self.repository(repo_id, to_write=True)
        if branch not in repository.branches:
            raise Refusal(404, f"Invalid rev id: {branch}", code="RevisionNotFound")
        header: dict[str, Any] = {}
        files: dict[str, bytes] = {}
        for line in body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "header":
                header = value
            elif item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                files[value["path"]] = self.hub.store[value["oid"]]
            else:
                raise Refusal(400, f"this Hub does not know {item['key']}")
        oid = self.hub.commit(repo_id, files, branch=branch, message=header["summary"])
        url = f"{self.hub.endpoint}/{repo_id}/commit/{oid}"
        return {"success": True, "commitOid": oid, "commitUrl": url, "hookOutput": ""}

    # The store of large files: it knows content by its hash, and nobody's token.

    def stored(self, body: bytes, sha256: str) -> Any:
        if self.headers.get("Authorization"):
            raise Refusal(400, "the token was sent to a foreign origin")
        if self.command == "PUT":
            if hashlib.sha256(body).hexdigest() != sha256:
                raise Refusal(422, "the bytes do not have this hash")
            self.hub.store[sha256] = body
            return 200, {}, b""
        return 200, {"ETag": f'"{sha256}"'}, self.hub.store[sha256]


ID = r"((?:[^/]+/)?[^/]+)"
ROUTES: list[tuple[str, str, Callable[..., Any]]] = [
    ("POST", r"/api/repos/create", Handler.create),
    ("POST", r"/api/validate-yaml", Handler.validate),
    ("GET", r"/api/whoami-v2", lambda handler, body: {"type": "user", "name": handler.user(needed=True), "orgs": []}),
    ("POST", rf"/api/models/{ID}/preupload/([^/]+)", Handler.preupload),
    ("POST", rf"/api/models/{ID}/commit/([^/]+)", Handler.push),
    ("POST", rf"/api/models/{ID}/branch/([^/]+)", Handler.branch),
    ("GET", rf"/api/models/{ID}/revision/([^/]+)", Handler.info),
    ("GET", rf"/api/models/{ID}/tree/([^/]+)", Handler.tree),
    ("GET", rf"/api/models/{ID}", Handler.info),
    ("POST", rf"/{ID}\.git/info/lfs/objects/batch", Handler.batch),
    ("POST", rf"/{ID}\.git/info/lfs/objects/verify", Handler.verify),
    ("GET HEAD", rf"/{ID}/resolve/([^/]+)/(.+)", Handler.resolve),
    ("GET HEAD PUT", r"/store/([0-9a-f]{64})", Handler.stored),
]


class Clock:
    """The `time` module without the waiting, for the client's retries."""

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def sleep(self, seconds: float) -> None:
        pass


def patch_client(monkeypatch: Any, hub: HubServer, home: Path) -> None:
    """Point the Hub client of this process, imported or not, and of its children, at a server and an empty cache."""
    settings = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
    settings |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    settings |= {"no_proxy": "127.0.0.1,localhost", "NO_PROXY": "127.0.0.1,localhost"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    for name in (
        "HF_TOKEN",
        "HUGGING_FACE_HUB_TOKEN",
        "HF_HUB_OFFLINE",
        "HF_HUB_CACHE",
        "HUGGINGFACE_HUB_CACHE",
        "HF_TOKEN_PATH",
    ):
        monkeypatch.delenv(name, raising=False)

    # The settings above are read once, on import; whatever imported the client before us read others.
    from huggingface_hub import constants, file_download
    from huggingface_hub.utils import _http

    monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
    template = hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))
    monkeypatch.setattr(constants, "HF_STORED_TOKENS_PATH", str(home / "stored_tokens"))
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1024)  # a dropped download resumes at a multiple of it
    monkeypatch.setattr(_http, "time", Clock())
    monkeypatch.setattr(file_download, "time", Clock())
