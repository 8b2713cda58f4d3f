"""A provider that repeats whatever it was sent, key included, in its errors: `with echo() as url`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson


@contextmanager
def echo() -> Iterator[str]:
    """Its base URL, until the end of the block. The model's name says how it answers: a status, `html` or `unfit`."""

    class Echo(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            how, said = orjson.loads(body)["model"], f"{self.headers['Authorization']} sent {body}"
            answer = answered(how, said)
            self.send_response(int(how) if how.isdigit() else 200, "Echo")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        finally:
            server.shutdown()
            thread.join()


def answered(how: str, said: str) -> bytes:
    """The body of the answer."""
    if how == "html":
        return f"<html>{said}</html>".encode()
    if how == "unfit":
        message = {"content": orjson.dumps({"number": said}).decode()}
        return orjson.dumps({"choices": [{"message": message, "finish_reason": "stop"}]})
    return orjson.dumps({"error": {"message": said, "code": said, "type": said, "param": said}})
