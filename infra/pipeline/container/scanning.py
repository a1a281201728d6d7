"""Has a scanner check an image for known vulnerabilities. Called by the command `scan`."""

from __future__ import annotations

from container.commands import Commands
from container.errors import InvalidUse
from container.record import ImageRecord

SCANNERS = ("trivy", "grype")


def scan(record: ImageRecord, commands: Commands, severity: str) -> None:
    """Scan the image, or its list of components where the registry built it. Raises StepFailed for a finding.

    Vulnerabilities without a fixed version do not count: a build cannot remove them.
    """
    scanner = next((name for name in SCANNERS if commands.has(name)), None)
    if scanner is None and not commands.dry_run:
        raise InvalidUse(f"neither {' nor '.join(SCANNERS)} is installed: install one, with its database.")
    local = record.engine != "acr"
    source = record.reference if record.digest else record.local
    if scanner == "grype":
        kind = {"docker": "docker:", "buildah": "podman:"}.get(record.engine, "registry:")
        commands.run(
            "grype", f"{kind if local else 'registry:'}{source}", "--only-fixed", "--fail-on", severity.lower()
        )
        return
    levels = {"critical": "CRITICAL", "high": "HIGH,CRITICAL"}[severity.lower()]
    options = ("--ignore-unfixed", "--exit-code", "1", "--severity", levels)
    if local:
        commands.run("trivy", "image", *options, source)
    else:
        commands.run("trivy", "sbom", *options, "sbom.json")
