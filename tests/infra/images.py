"""What the images set, for tests that read the settings of a deployment."""

from __future__ import annotations

import re

from tests.project import ROOT


def read_image_variables(stage: str = "embedded") -> dict[str, str]:
    """Return the variables that a stage of the Dockerfile sets, without those that a build argument fills.

    `stage`: empty for the last one, the Functions host.
    """
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    text = re.sub(r"\\\n\s*", "", "\n".join(lines))
    own = text.partition(f" AS {stage}\n")[2].partition("\nFROM ")[0] if stage else text.rpartition("\nFROM ")[2]
    found = {name: value for line in re.findall(r"^ENV (.+)$", own, re.M) for name, value in _PAIR.findall(line)}
    return {name: value for name, value in found.items() if "$" not in value}


_PAIR = re.compile(r"(\w+)=(\S+)")
