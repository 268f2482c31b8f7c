# Copyright 2026 mbrl_controller authors
# SPDX-License-Identifier: Apache-2.0

"""A gateway in front of an S3 server that does what storage does on a bad day: it is full, or connections break in the
middle of an upload. moto's server cannot do either."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Fault = Literal["", "quota", "disk full", "cut"]
# What Ceph's gateway and MinIO answer; AWS has no full buckets.
FULL = {
    "quota": (403, b"<?xml version='1.0'?><Error><Code>QuotaExceeded</Code><Message>quota exceeded</Message></Error>"),
    "disk full": (
        507,
        b"<?xml version='1.0'?><Error><Code>XMinioStorageFull</Code>"
        b"<Message>Storage backend has reached its minimum free drive threshold.</Message></Error>",
    ),
}


class S3Gateway:
    """Hands all requests on to the server at a port; while it has a `fault`, uploads of objects fail."""

    def __init__(self, port: int) -> None:
        self.fault: Fault = ""
        self.uploads_refused = 0
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def _handle(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                if gateway.fault and self.command in ("PUT", "POST"):
                    gateway.uploads_refused += 1
                    if gateway.fault == "cut":
                        self.rfile.read(length // 2)
                        self.close_connection = True
                        self.connection.close()
                        return
                    self.rfile.read(length)
                    self._answer(*FULL[gateway.fault], {"Content-Type": "application/xml"})
                    return
                body = self.rfile.read(length)
                server = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                try:
                    server.request(self.command, self.path, body, dict(self.headers))
                    answer = server.getresponse()
                    self._answer(answer.status, answer.read(), dict(answer.getheaders()))
                finally:
                    server.close()

            def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response_only(status)
                for name, value in headers.items():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
                self.send_header("Content-Length", length)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

        for method in ("GET", "PUT", "POST", "HEAD", "DELETE"):
            setattr(Handler, f"do_{method}", Handler._handle)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
