"""axe-core: what of WCAG 2.2 AA a page violates.

    page = await browser.new_page(bypass_csp=True)      # scripts of tests run in spite of the policy
    violations = await find_violations(page)

The npm package is read from .tools/axe, where `./dev test` installs it, or from SCHEDULER_AXE: the folder of axe-core.
Without it the tests are skipped, see tests.parts.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from playwright.async_api import Page

from tests.parts import missing

ROOT = Path(__file__).resolve().parents[2]
LEVELS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")

# The environment is read at import: it is cleaned of SCHEDULER_* before each test.
_INSTALLED = Path(os.environ.get("SCHEDULER_AXE") or ROOT / ".tools" / "axe" / "node_modules" / "axe-core")

_RUN = """async ({ levels, rules }) => {
  const runOnly = rules.length ? { type: "rule", values: rules } : { type: "tag", values: levels };
  const found = await axe.run(document, { runOnly, resultTypes: ["violations"], elementRef: false });
  return found.violations.flatMap(({ id, help, nodes }) =>
    nodes.map((node) => `${id}: ${help}: ${node.target.join(" ")}: ${node.html.slice(0, 200)}`
      + ` ${(node.any[0] ?? node.all[0] ?? node.none[0])?.message ?? ""}`));
}"""


@cache
def _source() -> str:
    file = _INSTALLED / "axe.min.js"
    return file.read_text(encoding="utf-8") if file.exists() else missing(f"there is no axe-core in {_INSTALLED}")


async def find_violations(page: Page, rules: Sequence[str] = ()) -> list[str]:
    """Return a line for each element that violates a rule. `rules`: these alone, else all of LEVELS."""
    if not await page.evaluate("typeof axe === 'object'"):
        await page.evaluate(_source())
    found: list[str] = await page.evaluate(_RUN, {"levels": LEVELS, "rules": list(rules)})
    return found
