"""Take the pictures of the dashboard in the documentation: ./dev bench screenshot [PATH ...].

Without a path: docs/overview.png for README, and in docs/images three pictures of each page: light, dark, on a phone.
With paths, such as /api/dashboard/incidents: those pages alone. It measures nothing, and needs Chromium.
"""

from __future__ import annotations

import base64
import re
import sys
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

from bench._dashboard_site import require_chromium, run_movable, serve_dashboard

ROOT = Path(__file__).resolve().parents[1]
README_PICTURE = ROOT / "docs" / "overview.png"
IMAGES = ROOT / "docs" / "images"
LARGEST = 100_000
"""Bytes that a picture may have."""
OVERVIEW = "/api/dashboard"
README_SIZE = (1000, 790)
LOOKS = {"light": (1100, 800, "light"), "dark": (1100, 800, "dark"), "phone": (360, 740, "light")}
"""Width, height and theme, by the end of the name."""
SETTLED_MS = 500

ENCODE = """async (png) => {
  const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${png}`)).blob());
  const canvas = new OffscreenCanvas(image.width, image.height);
  canvas.getContext("2d").drawImage(image, 0, 0);
  const blob = await canvas.convertToBlob({ type: "image/webp", quality: 0.7 });
  return btoa(Array.from(new Uint8Array(await blob.arrayBuffer()), (byte) => String.fromCharCode(byte)).join(""));
}"""
"""WebP is a third as large as PNG, and text stays sharp."""


async def main() -> int:
    chosen = sys.argv[1:]
    chromium = require_chromium()
    IMAGES.mkdir(exist_ok=True)
    async with serve_dashboard() as (url, addresses), async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, chromium_sandbox=False)
        encoder = await browser.new_page()
        sizes: dict[str, int] = {}
        if not chosen:
            README_PICTURE.write_bytes(await _take(browser, url + OVERVIEW, *README_SIZE, "light"))
        for template in chosen or addresses:
            for look, (width, height, theme) in LOOKS.items():
                picture = await _take(browser, url + addresses[template], width, height, theme)
                file = IMAGES / f"{name_of(template)}-{look}.webp"
                file.write_bytes(await _encode(encoder, picture))
                sizes[file.name] = file.stat().st_size
        await browser.close()
    print("\n".join(f"{name}: {size / 1000:.0f} kB" for name, size in sizes.items()))
    return 0 if all(size <= LARGEST for size in sizes.values()) else 1


def name_of(template: str) -> str:
    """Return the name of a page's pictures: `jobs-one-alerts` for /api/dashboard/jobs/{name}/alerts."""
    below = template.removeprefix("/api/").removeprefix("dashboard").strip("/")
    return re.sub(r"\{\w+\}", "one", below).replace("/", "-") or "overview"


async def _take(browser: Browser, address: str, width: int, height: int, theme: str) -> bytes:
    """Return a PNG."""
    size = {"width": width, "height": height}
    page = await browser.new_page(viewport=size, color_scheme=theme, has_touch=width < 600)  # type: ignore[arg-type]
    await page.goto(address)
    await page.wait_for_timeout(SETTLED_MS)
    picture = await page.screenshot()
    await page.close()
    return picture


async def _encode(encoder: Page, picture: bytes) -> bytes:
    text: str = await encoder.evaluate(ENCODE, base64.b64encode(picture).decode())
    return base64.b64decode(text)


if __name__ == "__main__":
    sys.exit(run_movable(main))
