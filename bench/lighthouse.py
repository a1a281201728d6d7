"""Lighthouse's scores of the overview, a job and the incidents, as on a phone: ./dev bench lighthouse [PATH ...].

It needs Chromium and npm, which installs the version of Lighthouse that tools/npm/lighthouse pins. It exits with 1 if a
score is below 95, the page blocks for 100 ms or more, its layout shifts by 0.05 or more, its scripts have more than
60 kB compressed, or it requests anything from another site.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench._dashboard_site import require_chromium, run_movable, serve_dashboard
from bench._parts import show
from tools.npm.locked import install_locked

PAGES = ("/api/dashboard", "/api/dashboard/jobs/{name}", "/api/dashboard/incidents")
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
MIN_SCORE, MAX_BLOCKING_MS, MAX_SHIFT, MAX_SCRIPT_BYTES = 95, 100.0, 0.05, 60_000
ATTEMPTS = 3
"""Chromium now and then records no start of the navigation (NO_NAVSTART)."""
FLAGS = "--headless=new --no-sandbox --disable-background-networking"


async def main() -> int:
    chromium, packages = require_chromium(), install_locked("lighthouse")
    if packages is None:
        print("npm could not install Lighthouse", file=sys.stderr)
        return 1
    program = packages / "lighthouse" / "cli" / "index.js"
    rows, is_good = [], True
    async with serve_dashboard() as (url, addresses):
        for template in sys.argv[1:] or PAGES:
            report = await _measure(program, chromium, url + addresses.get(template, template))
            figures = _read_figures(report, url)
            is_good = is_good and _meets_bounds(figures)
            rows.append([template, *figures.values()])
            _print_faults(template, report)
    show(["page", *figures], rows)
    return 0 if is_good else 1


async def _measure(program: Path, chromium: str, address: str) -> dict[str, Any]:
    """Return the report: of a phone with simulated throttling, Lighthouse's default."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "report.json"
        options = ["--quiet", "--output=json", f"--output-path={output}", f"--only-categories={','.join(CATEGORIES)}"]
        environment = os.environ | {"CHROME_PATH": chromium}
        for _ in range(ATTEMPTS):
            process = await asyncio.create_subprocess_exec(
                "node", str(program), address, *options, f"--chrome-flags={FLAGS}", env=environment
            )
            if await process.wait() == 0:
                report: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))
                return report
    raise RuntimeError(f"Lighthouse failed {ATTEMPTS} times for {address}")


def _read_figures(report: dict[str, Any], url: str) -> dict[str, float]:
    audits = report["audits"]
    requests = audits["network-requests"]["details"]["items"]
    scripts = sum(each["transferSize"] for each in requests if each.get("resourceType") == "Script")
    others = [each["url"] for each in requests if urlsplit(each["url"]).netloc not in ("", urlsplit(url).netloc)]
    scores = {name: round(100 * (report["categories"][name]["score"] or 0)) for name in CATEGORIES}
    return scores | {
        "first paint ms": round(audits["first-contentful-paint"]["numericValue"]),
        "blocking ms": round(audits["total-blocking-time"]["numericValue"]),
        "shift": round(audits["cumulative-layout-shift"]["numericValue"], 3),
        "script bytes": scripts,
        "other sites": len(others),
    }


def _meets_bounds(figures: dict[str, float]) -> bool:
    return (
        all(figures[name] >= MIN_SCORE for name in CATEGORIES)
        and figures["blocking ms"] < MAX_BLOCKING_MS
        and figures["shift"] < MAX_SHIFT
        and figures["script bytes"] <= MAX_SCRIPT_BYTES
        and figures["other sites"] == 0
    )


def _print_faults(template: str, report: dict[str, Any]) -> None:
    """Print the audits that lower a score."""
    for name in CATEGORIES:
        for reference in report["categories"][name]["auditRefs"]:
            audit = report["audits"][reference["id"]]
            if reference["weight"] and audit["score"] is not None and audit["score"] < 0.9:
                print(f"{template}: {name}: {audit['title']} {audit.get('displayValue', '')}")


if __name__ == "__main__":
    sys.exit(run_movable(main))
