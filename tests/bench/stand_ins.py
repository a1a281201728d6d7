"""Programs that take the place of the peers in tests, as far as the bench knows those: `stand_ins.py gatus|blackbox`.

They read the same files, answer the same routes and ask the targets; they judge nothing.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen


def main() -> None:
    if sys.argv[1] == "gatus":
        configuration = json.loads(Path(os.environ["GATUS_CONFIG_PATH"]).read_text())
        for endpoint in configuration["endpoints"]:
            assert endpoint["conditions"] == ["[STATUS] == 200"]
            threading.Thread(target=_ask_again_and_again, args=(endpoint,), daemon=True).start()
        _serve(configuration["web"]["address"], configuration["web"]["port"])
    else:
        options = dict(option.removeprefix("--").split("=", 1) for option in sys.argv[2:])
        modules = json.loads(Path(options["config.file"]).read_text())["modules"]
        assert modules["http_2xx"]["prober"] == "http"
        host, port = options["web.listen-address"].split(":")
        _serve(host, int(port))


def _ask_again_and_again(endpoint: dict[str, str]) -> None:
    while True:
        urlopen(endpoint["url"]).read()
        time.sleep(float(endpoint["interval"].removesuffix("s")))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        requested = urlsplit(self.path)
        if requested.path == "/probe":
            query = parse_qs(requested.query)
            assert query["module"] == ["http_2xx"]
            urlopen(query["target"][0]).read()
        body = b"probe_success 1\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _serve(host: str, port: int) -> None:
    ThreadingHTTPServer((host, port), _Handler).serve_forever()


if __name__ == "__main__":
    main()
