"""Print the messages that a channel of the kind `webhook` sends: `python3 -m tools.receiver [PORT]`.

For docs/first-ten-minutes.md, with the standard library alone.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT = 9000
MAX_BODY = 1_000_000


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        length = min(int(self.headers.get("content-length", 0)), MAX_BODY)
        print(describe(self.rfile.read(length)), flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing else."""


def describe(body: bytes) -> str:
    """Return title, target, text, incident and link of a message, a line each; any other body unchanged."""
    try:
        message = json.loads(body)
        found = [message[name] for name in ("title", "target", "text", "incident", "link") if message.get(name)]
    except (ValueError, AttributeError, TypeError):
        found = [body.decode(errors="replace")]
    text = "\n".join(map(str, found)) + "\n"
    return "".join(each if each.isprintable() or each == "\n" else "?" for each in text)


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else PORT
    server = ThreadingHTTPServer(("127.0.0.1", port), Receiver)
    print(f"Messages to http://127.0.0.1:{server.server_port} appear here; Ctrl-C ends it.", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


if __name__ == "__main__":
    main()
