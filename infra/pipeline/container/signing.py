"""Signs an image and what describes it, and verifies both: cosign, with a key or with an identity of the pipeline.

With a key nothing leaves the registry: no entry in a public log. Without one (keyless), cosign uses the identity that
the service of the pipeline gives it, and the public log of Sigstore.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from container.commands import Commands
from container.errors import InvalidUse
from container.record import ImageRecord

COSIGN = "install it (Debian: cosign)"
BUILD_TYPE = "https://slsa.dev/container-based-build/v0.1"


@dataclass(frozen=True)
class Identity:
    """Who signed: a key, or the identity and issuer of a certificate. `insecure`: a registry without TLS."""

    key: str = ""
    certificate_identity: str = ""
    issuer: str = ""
    insecure: bool = False

    def signing_options(self) -> tuple[str, ...]:
        log = ("--key", self.key, "--tlog-upload=false") if self.key else ()
        return ("--yes", *log, *self._registry_options())

    def verifying_options(self) -> tuple[str, ...]:
        if self.key:
            return ("--key", self.key, "--insecure-ignore-tlog=true", *self._registry_options())
        if not (self.certificate_identity and self.issuer):
            raise InvalidUse("give --key, or --certificate-identity and --issuer of a signature without a key.")
        named = ("--certificate-identity", self.certificate_identity, "--certificate-oidc-issuer", self.issuer)
        return (*named, *self._registry_options())

    def _registry_options(self) -> tuple[str, ...]:
        return ("--allow-http-registry",) if self.insecure else ()


def sign(record: ImageRecord, commands: Commands, identity: Identity, sbom: Path, source: str) -> None:
    """Sign the image by its digest, and attach its list of components and where it comes from, both signed."""
    commands.require("cosign", COSIGN)
    if not commands.dry_run and not sbom.is_file():
        raise InvalidUse(f"{sbom} does not exist: make it with `infra/pipeline/image sbom`.")
    options = identity.signing_options()
    commands.run("cosign", "sign", *options, record.reference)
    attach = ("cosign", "attest", *options)
    commands.run(*attach, "--type", "cyclonedx", "--predicate", str(sbom), record.reference)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "provenance.json")
        file.write_text(json.dumps(describe_provenance(record, source)), encoding="utf-8")
        commands.run(*attach, "--type", "slsaprovenance1", "--predicate", str(file), record.reference)


def verify(record: ImageRecord, commands: Commands, identity: Identity) -> None:
    """Raise StepFailed unless the image, its list of components and its provenance have valid signatures."""
    commands.require("cosign", COSIGN)
    options = identity.verifying_options()
    commands.run("cosign", "verify", *options, record.reference)
    for kind in ("cyclonedx", "slsaprovenance1"):
        commands.run("cosign", "verify-attestation", *options, "--type", kind, record.reference)


def describe_provenance(record: ImageRecord, source: str) -> dict[str, Any]:
    """Return how the image was built, in the form of SLSA's predicate `provenance/v1`."""
    commit = {"uri": f"git+{source}", "digest": {"gitCommit": record.revision}}
    name, _, digest = record.base.partition("@sha256:")
    bases = [{"uri": f"docker://{name}", "digest": {"sha256": digest}}] if digest else []
    parameters = {"target": record.target, "version": record.version, "base": record.base}
    parameters["requirements"] = record.requirements
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"source": commit, **parameters},
            "resolvedDependencies": [commit, *bases],
        },
        "runDetails": {"builder": {"id": f"{source}/infra/pipeline/image", "version": {"engine": record.engine}}},
    }
