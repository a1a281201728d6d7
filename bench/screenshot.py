"""Take the picture of the overview page that README shows, from the sample jobs: ./dev bench screenshot [FILE].

It measures nothing. It starts a scheduler, lets the sample jobs run for a minute, and needs Chromium.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "overview.png"
LARGEST = 150_000
"""Bytes that the picture may have."""
RUN_FOR = 70.0
"""Seconds after which every sample job has shown what it is for."""
SIZE = {"width": 1000, "height": 860}


def main(arguments: list[str]) -> int:
    picture = Path(arguments[0]) if arguments else PICTURE
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        print("there is no Chromium: apt-get install chromium", file=sys.stderr)
        return 1
    port = int(os.environ.get("SCREENSHOT_PORT", "7079"))
    with tempfile.TemporaryDirectory() as folder, served(Path(folder), port) as program:
        try:
            wait_until_ready(port)
            time.sleep(RUN_FOR)
            shoot(chromium, port, picture)
        finally:
            program.terminate()
    size = picture.stat().st_size
    print(f"{picture}: {size / 1000:.0f} kB")
    return 0 if size <= LARGEST else 1


def served(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """A scheduler with the sample jobs alone."""
    (folder / "jobs").mkdir()
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SCHEDULER_")}
    ours = {
        "SCHEDULER_ENVIRONMENT": "dev",
        "SCHEDULER_JOBS": str(folder / "jobs"),
        "SCHEDULER_STORE": f"sqlite:///{folder / 'state.db'}",
        "SCHEDULER_SAMPLES": "true",
    }
    command = [sys.executable, "-m", "scheduler", "serve", "--port", str(port)]
    return subprocess.Popen(command, cwd=ROOT, env={**clean, **ours}, stdout=subprocess.DEVNULL)


def wait_until_ready(port: int, seconds: float = 30.0) -> None:
    """Raises URLError if it is not ready by then."""
    until = time.monotonic() + seconds
    while True:
        try:
            with urlopen(f"http://127.0.0.1:{port}/api/health/ready", timeout=2):
                return
        except URLError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def shoot(chromium: str, port: int, picture: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, chromium_sandbox=False)
        page = browser.new_page(viewport=SIZE, color_scheme="light")  # type: ignore[arg-type]
        page.goto(f"http://127.0.0.1:{port}/api/dashboard")
        page.screenshot(path=str(picture))
        browser.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
