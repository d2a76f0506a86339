"""A hub on the loopback: the parts of the Hugging Face Hub's HTTP API that the libraries use."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_let_me_in"


@dataclass
class Repository:
    """One repository of the hub: its files, and how it behaves."""

    folder: Path
    kind: str = "models"
    gated: bool = False
    breaks: set[str] = field(default_factory=set)
    """Files whose first download ends half-way."""
    private: bool = False
    silent: int = 0
    """How many of the next requests get no answer: the connection is closed."""

    def files(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }

    @property
    def revision(self) -> str:
        """A commit of forty digits that changes with the content."""
        digest = hashlib.sha1()
        for name, content in self.files().items():
            digest.update(name.encode() + content)
        return digest.hexdigest()


class Hub:
    """Repositories by name, and a log of what was asked."""

    def __init__(self, uploads: Path | None = None) -> None:
        self.uploads = uploads
        """Where repositories that are created go; None: nothing can be written."""
        self.large: dict[str, bytes] = {}
        """LFS objects by their SHA-256."""
        self.repositories: dict[str, Repository] = {}
        self.log: list[tuple[str, str]] = []
        self.address = ""

    def add(self, name: str, folder: Path, **options) -> Repository:
        self.repositories[name] = Repository(folder, **options)
        return self.repositories[name]

    def downloads(self, ending: str) -> int:
        return sum(m == "GET" and "/resolve/" in p and p.endswith(ending) for m, p in self.log)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_):
        """Quiet."""

    def do_HEAD(self):
        self._answer()

    def do_GET(self):
        self._answer()

    def do_POST(self):
        self._body = self._read_body()
        path = unquote(urlsplit(self.path).path)
        self.hub.log.append((self.command, self.path))
        writing = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/[^/]+", path)
        large = re.fullmatch(r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", path)
        if path == "/api/validate-yaml":
            return self._json({"errors": [], "warnings": []})
        if not (path == "/api/repos/create" or writing or large):
            self.hub.log.pop()
            return self._answer()
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._send(401, b'{"error":"Invalid credentials"}')
        if path == "/api/repos/create":
            return self._create(json.loads(self._body))
        if large:
            return self._json(self._batch(json.loads(self._body)))
        repository = self.hub.repositories[writing[1]]
        if writing[2] == "preupload":
            return self._json(self._preupload(json.loads(self._body)))
        return self._commit(repository, writing[1])

    def do_PUT(self):
        """A part of the LFS protocol: the object itself."""
        self.hub.log.append((self.command, self.path))
        content = self._read_body()
        self.hub.large[hashlib.sha256(content).hexdigest()] = content
        self._send(200, b"")

    def _read_body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _create(self, asked):
        name = f"{asked['organization']}/{asked['name']}"
        if name in self.hub.repositories:
            return self._send(409, b'{"error":"You already created this model repo"}')
        folder = self.hub.uploads / name
        folder.mkdir(parents=True)
        private = asked.get("private") or asked.get("visibility") == "private"
        self.hub.add(name, folder, private=bool(private))
        return self._json({"url": f"{self.hub.address}/{name}"})

    def _preupload(self, asked):
        """Weights go by LFS, as they do on the hub, and everything else with the commit."""
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                "shouldIgnore": False,
                "oid": None,
            }
            for file in asked["files"]
        ]
        return {"files": files}

    def _batch(self, asked):
        return {
            "transfer": "basic",
            "objects": [
                {
                    **{key: each[key] for key in ("oid", "size")},
                    "actions": {"upload": {"href": f"{self.hub.address}/lfs/{each['oid']}"}},
                }
                for each in asked["objects"]
            ],
        }

    def _commit(self, repository, name):
        lines = [json.loads(line) for line in self._body.splitlines()]
        (head,) = (each["value"] for each in lines if each["key"] == "header")
        if head.get("parentCommit") not in (None, repository.revision):
            return self._send(412, b'{"error":"A commit has happened since"}')
        for each in lines:
            key, value = each["key"], each["value"]
            if key == "file":
                content = base64.b64decode(value["content"])
            elif key == "lfsFile":
                content = self.hub.large[value["oid"]]
            if key in ("file", "lfsFile"):
                place = repository.folder / value["path"]
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
            elif key == "deletedFile":
                (repository.folder / value["path"]).unlink()
        revision = repository.revision
        url = f"{self.hub.address}/{name}/commit/{revision}"
        return self._json({"commitUrl": url, "commitOid": revision, "hookOutput": ""})

    def _answer(self):
        path = unquote(urlsplit(self.path).path)
        self.hub.log.append((self.command, self.path))
        for name, repository in self.hub.repositories.items():
            if self._hidden(repository):
                continue
            prefix = "" if repository.kind == "models" else f"/{repository.kind}"
            if repository.silent and f"/{name}" in path:
                repository.silent -= 1
                self.close_connection = True
                return None
            if path.startswith(f"/api/{repository.kind}/{name}"):
                return self._api(
                    repository, name, path.removeprefix(f"/api/{repository.kind}/{name}")
                )
            if path.startswith(f"{prefix}/{name}/resolve/"):
                return self._resolve(repository, path.removeprefix(f"{prefix}/{name}/resolve/"))
        return self._send(
            404, b'{"error":"Repository not found"}', {"X-Error-Code": "RepoNotFound"}
        )

    def _hidden(self, repository):
        """The hub says of a private repository that it is not there, unless it is yours."""
        return repository.private and self.headers.get("Authorization") != f"Bearer {TOKEN}"

    def _refused(self, repository):
        if repository.gated and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            headers = {
                "X-Error-Code": "GatedRepo",
                "X-Error-Message": "Access to model is restricted.",
            }
            self._send(401, b'{"error":"Access to model is restricted."}', headers)
            return True
        return False

    def _api(self, repository, name, rest):
        files = repository.files()
        revision = repository.revision
        if rest in ("", f"/revision/{revision}") or rest.startswith("/revision/"):
            asked = rest.removeprefix("/revision/")
            if rest and asked not in ("main", revision):
                return self._send(
                    404, b'{"error":"Invalid rev id"}', {"X-Error-Code": "RevisionNotFound"}
                )
            info = {
                "_id": name,
                "id": name,
                "modelId": name,
                "sha": revision,
                "private": repository.private,
                "gated": "auto" if repository.gated else False,
                "disabled": False,
                "tags": [],
                "downloads": 0,
                "likes": 0,
                "lastModified": "2026-01-01T00:00:00.000Z",
                "createdAt": "2026-01-01T00:00:00.000Z",
                "siblings": [{"rfilename": file} for file in files],
            }
            return self._json(info)
        if self._refused(repository):
            return None
        if rest.startswith("/tree/"):
            parts = rest.removeprefix("/tree/").split("/", 1)
            under = parts[1] if len(parts) > 1 else ""
            entries, folders = [], set()
            recursive = "recursive=true" in self.path.lower()
            for file, content in files.items():
                if under and not file.startswith(under + "/"):
                    continue
                inner = file[len(under) + 1 if under else 0 :]
                if "/" in inner:
                    folders.add((under + "/" if under else "") + inner.split("/")[0])
                    if not recursive:
                        continue
                entries.append(_entry(file, content))
            entries += [
                {"type": "directory", "path": f, "oid": "0" * 40, "size": 0}
                for f in sorted(folders)
            ]
            if under and not entries:
                return self._send(404, b'{"error":"not found"}', {"X-Error-Code": "EntryNotFound"})
            return self._json(entries)
        if rest.startswith("/paths-info/"):
            try:
                wanted = json.loads(self._body)["paths"]
            except ValueError:
                wanted = parse_qs(self._body.decode()).get("paths", [])
            found = [_entry(p, files[p]) for p in wanted if p in files]
            found += [
                {"type": "directory", "path": p, "oid": "0" * 40, "size": 0}
                for p in wanted
                if any(f.startswith(p + "/") for f in files)
            ]
            return self._json(found)
        return self._send(404, b'{"error":"unknown"}')

    def _resolve(self, repository, rest):
        revision, _, file = rest.partition("/")
        if revision not in ("main", repository.revision):
            return self._send(404, b"Revision not found", {"X-Error-Code": "RevisionNotFound"})
        if self._refused(repository):
            return None
        content = repository.files().get(file)
        head = {"X-Repo-Commit": repository.revision}
        if content is None:
            return self._send(404, b"Entry not found", {**head, "X-Error-Code": "EntryNotFound"})
        head |= {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "Accept-Ranges": "bytes"}
        wanted = self.headers.get("Range")
        status = 200
        if wanted:
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            end = wanted.split("-")[1]
            head["Content-Range"] = (
                f"bytes {start}-{int(end) if end else len(content) - 1}/{len(content)}"
            )
            content, status = content[start : (int(end) + 1) if end else None], 206
        cut = self.command == "GET" and file in repository.breaks
        return self._send(status, content, head, cut=cut and not repository.breaks.discard(file))

    def _json(self, value):
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status, body, headers=None, *, cut=False):
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.close_connection = True


def _entry(path, content):
    return {
        "type": "file",
        "path": path,
        "size": len(content),
        "oid": hashlib.sha1(content).hexdigest(),
    }


@contextmanager
def serving(hub: Hub):
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
