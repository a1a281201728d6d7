"""Take the pictures of the dashboard in the documentation: ./dev bench screenshot [NAME ...].

Without a name: docs/overview.png for README, and in docs/images those listed below; other pictures there are removed.
With names, such as incidents-one-phone: those alone. It measures nothing, and needs Chromium.
"""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Collection
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from bench._dashboard_site import require_chromium, run_movable, serve_dashboard
from tests.scheduler.api.dashboard.every_page.states import STATES

ROOT = Path(__file__).resolve().parents[1]
README_PICTURE = ROOT / "docs" / "overview.png"
IMAGES = ROOT / "docs" / "images"
LARGEST = 150_000
"""Bytes that a picture may have."""
OVERVIEW = "/api/dashboard"
README_SIZE = (1000, 790)
LOOKS = {
    "light": (1100, 800, "light"),
    "dark": (1100, 800, "dark"),
    "phone": (390, 844, "light"),
    "wide": (1920, 1080, "dark"),
}
"""Width, height and theme, by the end of the name."""
SETTLED_MS = 500
_JOB = f"{OVERVIEW}/jobs/{{name}}"
IN_USE = {
    OVERVIEW: ("light", "dark", "phone"),
    _JOB: ("light", "dark", "phone"),
    f"{_JOB}/alerts": ("light",),
    f"{_JOB}/definition": ("light",),
    f"{_JOB}/edit": ("light",),
    f"{OVERVIEW}/incidents": ("light",),
    f"{OVERVIEW}/incidents/{{incident_id}}": ("light", "phone"),
    f"{OVERVIEW}/runs": ("light",),
    f"{OVERVIEW}/runs/{{run_id}}": ("light",),
    f"{OVERVIEW}/schedule": ("light",),
    f"{OVERVIEW}/maintenance": ("light",),
    f"{OVERVIEW}/notifications": ("light",),
    f"{OVERVIEW}/circuits": ("light",),
    f"{OVERVIEW}/health": ("light",),
    f"{OVERVIEW}/settings": ("light",),
    "/api/docs": ("light",),
}
"""The looks of a page with a day of runs, by its path with parameters."""
OTHER_STATES = {
    "storm": {"storm-light": OVERVIEW, "storm-phone": OVERVIEW, "storm-wide": f"{OVERVIEW}/wall"},
    "empty": {"empty-light": OVERVIEW},
    "viewer": {"viewer-light": f"{OVERVIEW}/jobs/checkout"},
}
"""The pages of the states of tests, by the names of their pictures."""
MAX_PICTURES = 30

ENCODE = """async (png) => {
  const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
  const canvas = new OffscreenCanvas(image.width, image.height);
  canvas.getContext("2d").drawImage(image, 0, 0);
  const blob = await canvas.convertToBlob({ type: "image/webp", quality: 0.7 });
  return btoa(Array.from(new Uint8Array(await blob.arrayBuffer()), (byte) => String.fromCharCode(byte)).join(""));
}"""
"""WebP is a third as large as PNG, and text stays sharp."""


async def main() -> int:
    chosen = frozenset(sys.argv[1:])
    chromium = require_chromium()
    IMAGES.mkdir(exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, chromium_sandbox=False)
        camera = Camera(browser, chosen)
        async with serve_dashboard() as (url, addresses):
            if not chosen:
                README_PICTURE.write_bytes(await camera.take(url + OVERVIEW, *README_SIZE, "light"))
            for template, looks in IN_USE.items():
                for look in looks:
                    await camera.save(f"{name_of(template)}-{look}", url + addresses[template])
        for state, pictures in OTHER_STATES.items():
            async with STATES[state](browser) as (site, _):
                for name, path in pictures.items():
                    await camera.save(name, site.url + path)
        await browser.close()
    if not chosen:
        for file in IMAGES.glob("*.webp"):
            if file.name not in camera.sizes:
                file.unlink()
    print("\n".join(f"{name}: {size / 1000:.0f} kB" for name, size in camera.sizes.items()))
    return int(len(camera.sizes) > MAX_PICTURES or max(camera.sizes.values()) > LARGEST)


def name_of(template: str) -> str:
    """Return the name of a page's pictures: `jobs-one-alerts` for /api/dashboard/jobs/{name}/alerts."""
    below = template.removeprefix("/api/").removeprefix("dashboard").strip("/")
    return re.sub(r"\{\w+\}", "one", below).replace("/", "-") or "overview"


class Camera:
    """`chosen`: the names of the pictures to save, empty for all. `sizes`: bytes of each file that was saved."""

    def __init__(self, browser: Browser, chosen: Collection[str]) -> None:
        self._browser = browser
        self._chosen = chosen
        self.sizes: dict[str, int] = {}

    async def save(self, name: str, address: str) -> None:
        if self._chosen and name not in self._chosen:
            return
        picture = await self.take(address, *LOOKS[name.rpartition("-")[2]])
        encoder = await self._browser.new_page()
        text: str = await encoder.evaluate(ENCODE, base64.b64encode(picture).decode())
        await encoder.close()
        file = IMAGES / f"{name}.webp"
        file.write_bytes(base64.b64decode(text))
        self.sizes[file.name] = file.stat().st_size

    async def take(self, address: str, width: int, height: int, theme: str) -> bytes:
        """Return a PNG."""
        context = await self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=theme,  # type: ignore[arg-type]
            has_touch=width < 600,
        )
        page = await context.new_page()
        await page.goto(address)
        await page.wait_for_timeout(SETTLED_MS)
        picture = await page.screenshot()
        await page.close()
        return picture


if __name__ == "__main__":
    sys.exit(run_movable(main))
