"""A loopback server of files, with scripted trouble; every request is logged."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FileServer:
    """Serves ``files``; anything else is not found.

    Attributes
    ----------
    files : path with its query ("/graph/fredgraph.csv?id=DGS10") to content.
    faults : path to what goes wrong first, in order: a status, "cut" (half the content), "slow" (no answer for a second).
    retry_after : the header sent with a status of ``faults``.
    log : (path, status) of every request.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.faults: dict[str, list[int | str]] = defaultdict(list)
        self.retry_after: str | None = None
        self.log: list[tuple[str, int]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server._answer(self)

            def log_message(self, *args: Any) -> None:
                """Silence: the log is kept as objects."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    @contextmanager
    def running(self) -> Iterator[FileServer]:
        thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        thread.start()
        try:
            yield self
        finally:
            self._http.shutdown()
            thread.join()
            self._http.server_close()

    def asked(self) -> list[str]:
        """Paths in the order they were asked for."""
        return [path for path, _ in self.log]

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path
        faults = self.faults[path]
        fault = faults.pop(0) if faults else None
        content = self.files.get(path, b"no such file")
        status = fault if isinstance(fault, int) else 200 if path in self.files else 404
        self.log.append((path, status))
        if fault == "slow":
            time.sleep(1.0)
        with suppress(ConnectionError):  # the client may have lost patience
            handler.send_response(status)
            if isinstance(fault, int) and self.retry_after is not None:
                handler.send_header("Retry-After", self.retry_after)
            handler.send_header("Content-Length", str(len(content)))
            handler.end_headers()
            handler.wfile.write(content[: len(content) // 2] if fault == "cut" else content)
