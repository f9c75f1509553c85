# SPDX-License-Identifier: Apache-2.0
"""An HTTP server that stores what is pushed to it, as each backend would, and that fails as it is told."""
import base64
import email.parser
import gzip
import json
import socket
import ssl
import struct
import threading
import time

from emitting import fields, varints


def first(message, number, default=None):
    return next((value for field, value in fields(message) if field == number), default)


class Stored:
    """A profile that arrived: its path, headers, labels, and pprof."""

    def __init__(self, path, headers, body):
        self.path, self.headers, self.body = path, headers, body
        self.labels, self.pprof = {}, None
        if path.endswith("/push.v1.PusherService/Push"):
            series = [v for f, v in fields(body) if f == 1]
            assert len(series) == 1
            samples = [v for f, v in fields(series[0]) if f == 2]
            assert len(samples) == 1
            for f, v in fields(series[0]):
                if f == 1:
                    self.labels[first(v, 1).decode()] = first(v, 2, b"").decode()
            self.pprof = gzip.decompress(first(samples[0], 1))
        elif path.endswith("/api/profiles/writeraw"):
            (series,) = json.loads(body)["series"]
            self.labels = {pair["name"]: pair["value"] for pair in series["labels"]["labels"]}
            self.pprof = gzip.decompress(base64.b64decode(series["samples"][0]["rawProfile"]))
        elif "/ingest?" in path:
            self.pprof = gzip.decompress(body)
        elif path.endswith("/v1development/profiles"):
            self.otlp = gzip.decompress(body)

    @property
    def time_ns(self):
        if self.pprof is not None:
            return first(self.pprof, 9)
        resource = first(self.otlp, 1)
        profile = first(first(resource, 2), 2)
        return int.from_bytes(first(profile, 3), "little")

    def samples(self):
        """(samples, values of the first type in all)."""
        samples = [v for f, v in fields(self.pprof) if f == 2]
        return len(samples), sum(varints(first(s, 2))[0] for s in samples)


class Server:
    """Each request takes the next of `plan`; when that is used up, "ok". A plan's item is one of
    "ok"; "reset", "midbody" (the connection ends in the request); "late" (stored, and then the
    connection ends without an answer); "trickle" (an answer that never gets to its end); "hang" (none);
    an int or (int, {header: value}, body): that status, nothing stored; or a function of (path, headers,
    body) that gives one of these."""

    def __init__(self, plan=(), tls=None, port=0):
        self.plan, self.stored, self.seen, self.times = list(plan), [], [], []
        self.lock, self.over = threading.Lock(), threading.Event()
        self.default = "ok"
        self.tls = tls
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        self.threads = [threading.Thread(target=self.accept, daemon=True)]
        self.threads[0].start()

    def stop(self):
        self.over.set()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def accept(self):
        while not self.over.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as stream:
                while not self.over.is_set() and self.request(connection, stream):
                    pass
        except (OSError, ssl.SSLError, ValueError):
            pass

    def reset(self, connection):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The stream holds the descriptor too: shut it for good.
        connection.shutdown(socket.SHUT_RDWR)
        return False

    def request(self, connection, stream):
        line = stream.readline()
        if not line:
            return False
        method, path, _ = line.decode().split(" ")
        head = b""
        while (header := stream.readline()) not in (b"\r\n", b""):
            head += header
        headers = dict(email.parser.Parser().parsestr(head.decode()))
        length = int(headers.get("Content-Length", 0))
        with self.lock:
            action = self.plan.pop(0) if self.plan else self.default
            self.seen.append((method, path, headers))
            self.times.append(time.monotonic())
        if action == "reset":
            return self.reset(connection)
        if action == "midbody":
            stream.read(length // 2)
            return self.reset(connection)
        body = stream.read(length)
        if len(body) < length:
            return False
        if callable(action):
            action = action(path, headers, body)
        if action == "hang":
            self.over.wait()
            return False
        if action == "trickle":
            for byte in b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" * 100:
                connection.sendall(bytes([byte]))
                if self.over.wait(0.1):
                    return False
        if action in ("ok", "late"):
            with self.lock:
                self.stored.append(Stored(path, headers, body))
            if action == "late":
                return self.reset(connection)
            action = 200
        status, more, text = action if isinstance(action, tuple) else (action, {}, b"")
        answer = f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\n"
        answer += "".join(f"{k}: {v}\r\n" for k, v in more.items())
        connection.sendall(answer.encode() + b"\r\n" + text)
        return True
