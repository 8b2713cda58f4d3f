"""A small child for the parent's tests: `child.py ROLE ...`; TEST_JOURNAL hears what it lives through.

It answers 200 to everything as `serve`, waits as `work` and `simulate`, and ends at once as `migrate`.
TEST_DRAIN is how many seconds a worker goes on after SIGTERM; TEST_ROLE_EXIT makes that role end with a code.
"""

import http.server
import os
import signal
import socket
import sys
import time


def note(*words: object) -> None:
    with open(os.environ["TEST_JOURNAL"], "a") as journal:
        journal.write(" ".join(str(word) for word in words) + "\n")


class Answer(http.server.BaseHTTPRequestHandler):
    """Says which process answers."""

    def do_GET(self) -> None:
        body = f"{os.getpid()}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve() -> None:
    listener = socket.socket(fileno=int(sys.argv[sys.argv.index("--fd") + 1]))
    server = http.server.ThreadingHTTPServer(listener.getsockname()[:2], Answer, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.serve_forever()


def work() -> None:
    while True:
        time.sleep(60)


def drain(*_: object) -> None:
    note("draining", os.getpid())
    time.sleep(float(os.environ.get("TEST_DRAIN", "0")))
    note("drained", os.getpid())
    sys.exit(0)


def migrate() -> None:
    print("migration says: hello")


def simulate() -> None:
    time.sleep(3600)


if __name__ == "__main__":
    role = sys.argv[1]
    if role == "work":
        signal.signal(signal.SIGTERM, drain)
    if role in ("serve", "work"):
        signal.signal(signal.SIGHUP, lambda *_: note("hangup", os.getpid()))
    note("start", role, os.getpid(), os.environ.get("LANEWAY_PROCESS_ID", "-"))
    if code := os.environ.get(f"TEST_{role.upper()}_EXIT"):
        print(f"{role}: key limits.slots must be above 0")
        sys.exit(int(code))
    {"serve": serve, "work": work, "migrate": migrate, "simulate": simulate}[role]()
