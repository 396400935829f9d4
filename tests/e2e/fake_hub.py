"""A Hugging Face hub on loopback, with faults, for the tests of `skua pull`.

Small files are answered by the hub itself behind a relative redirect, large
ones (LFS) by a second server, the store, behind an absolute one, as the real
hub does it.
"""
import hashlib
import http.server
import json
import threading
import urllib.parse

COMMIT = "c0ffee" + "0" * 33 + "1"


def git_sha1(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer()

    def do_HEAD(self):
        self.answer()

    def answer(self):
        hub = self.server.hub
        path = urllib.parse.unquote(self.path)
        store = self.server is hub.store
        with hub.lock:
            hub.requests.append((self.command, path, dict(self.headers), store))
            statuses = hub.statuses.get(path, [])
            status = statuses.pop(0) if statuses else None
        if status:
            return self.reply(status, *hub.error_bodies.get(status, ({}, b"")))
        if store:
            return self.send_file(path.rsplit("/", 1)[-1])
        if hub.secret and self.headers.get("Authorization") != "Bearer " + hub.secret:
            return self.reply(401, {"X-Error-Code": hub.denial}, b"no")
        if path.startswith("/api/models/"):
            return self.describe(path)
        if path.startswith("/cached/"):
            return self.send_file(path.rsplit("/", 1)[-1])
        prefix = f"/{hub.name}/resolve/"
        if path.startswith(prefix):
            commit, _, name = path[len(prefix):].partition("/")
            if commit in (hub.commit, "main") and name in hub.files:
                return self.resolve(name)
        self.reply(404, {"X-Error-Code": "EntryNotFound"}, b"no")

    def describe(self, path):
        hub = self.server.hub
        if path != f"/api/models/{hub.name}/revision/main":
            return self.reply(404, {"X-Error-Code": "RepoNotFound"}, b"no")
        names = [{"rfilename": name} for name in hub.listing()]
        body = json.dumps({"id": hub.name, "sha": hub.commit, "siblings": names})
        self.reply(200, {"Content-Type": "application/json"}, body.encode())

    def resolve(self, name):
        hub = self.server.hub
        digest = hub.digest(name)
        headers = {"X-Repo-Commit": hub.commit}
        if name in hub.lfs:
            headers["X-Linked-Etag"] = f'"{hub.etags.get(name, digest)}"'
            headers["X-Linked-Size"] = str(hub.sizes.get(name, len(hub.files[name])))
            headers["Location"] = f"{hub.store_url}/blob/{digest}?signature=secret"
            headers["Location"] = hub.locations.get(name, headers["Location"])
            return self.reply(302, headers, b"moved")
        headers["Location"] = f"/cached/{digest}"
        self.reply(307, headers, b"moved")

    def send_file(self, digest):
        hub = self.server.hub
        digest = digest.split("?")[0]
        name = next(n for n in hub.files if hub.digest(n) == digest)
        data = hub.sent.get(name, hub.files[name])
        start = 0
        headers = {"ETag": f'W/"{digest}"', "X-Repo-Commit": hub.commit}
        wanted = self.headers.get("Range", "")
        if wanted.startswith("bytes=") and name not in hub.rangeless:
            start = int(wanted[6:].split("-")[0])
            if start >= len(data):
                return self.reply(416, {}, b"")
            headers["Content-Range"] = hub.ranges.get(
                name, f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_response(206 if "Content-Range" in headers else 200)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if self.command == "HEAD":
            return
        self.send_body(name, data[start:])

    def send_body(self, name, data):
        hub = self.server.hub
        with hub.lock:
            cuts = hub.cuts.get(name, [])
            cut = cuts.pop(0) if cuts else None
        try:
            if cut is not None:
                self.wfile.write(data[:cut])
                self.close_connection = True
            elif name in hub.pauses:
                half = len(data) // 2
                self.wfile.write(data[:half])
                self.wfile.flush()
                hub.paused.set()
                hub.resume.wait(20)
                self.wfile.write(data[half:])
            else:
                self.wfile.write(data)
        except OSError:
            self.close_connection = True

    def reply(self, status, headers, body):
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


class Hub:
    """One repository and the faults to serve it with."""

    def __init__(self, files, lfs=(), name="org/name"):
        self.name, self.files, self.lfs = name, dict(files), set(lfs)
        self.commit = COMMIT
        self.requests = []      # (method, path, headers, to the store)
        self.statuses = {}      # path -> statuses of its next answers
        self.error_bodies = {}  # status -> (headers, body)
        self.cuts = {}          # file -> bytes after which to hang up
        self.sent = {}          # file -> what is sent in its place
        self.etags, self.sizes, self.locations, self.ranges = {}, {}, {}, {}
        self.rangeless = set()  # files for which Range is ignored
        self.pauses = set()     # files that stop half-way until resume is set
        self.paused, self.resume = threading.Event(), threading.Event()
        self.extra_names = []
        self.secret, self.denial = "", "GatedRepo"
        self.lock = threading.Lock()
        self.front, self.store = (self.start() for _ in range(2))
        self.url = "http://127.0.0.1:%d" % self.front.server_port
        self.store_url = "http://127.0.0.1:%d" % self.store.server_port

    def start(self):
        server = Server(("127.0.0.1", 0), Handler)
        server.hub = self
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server

    def close(self):
        self.resume.set()
        for server in (self.front, self.store):
            server.shutdown()
            server.server_close()

    def listing(self):
        return list(self.files) + self.extra_names

    def digest(self, name):
        data = self.files[name]
        return hashlib.sha256(data).hexdigest() if name in self.lfs else git_sha1(data)

    def downloads(self, name):
        """Headers of the requests that asked for the content of a file."""
        tail = "/" + self.digest(name)
        return [headers for method, path, headers, _ in self.requests
                if method == "GET" and path.split("?")[0].endswith(tail)]
