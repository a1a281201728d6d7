"""Parses the arguments of infra/pipeline/image, and runs one command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

from container import bases, layers, scanning, signing
from container.commands import ROOT, Commands
from container.engines import ENGINES, BuildOrder, create_engine, find_engine
from container.errors import InvalidUse, StepFailed
from container.record import IMAGE_FILE, REQUIREMENTS, ImageRecord, read_record, tag_suffix
from container.repositories import NAME_OF_TARGET, find_repository, sign_in
from container.versions import SourceVersion, read_source_version

Options = argparse.Namespace
Command = Callable[[Options, Commands], None]
OptionGroup = Callable[[argparse.ArgumentParser], object]
SBOM_FILE = "sbom.json"
EXPLANATION = f"""The steps of one build hand over {IMAGE_FILE} in the current folder: docs/supply-chain.md.
Exit codes: 0 done, 1 a tool failed or a finding, 2 wrong use."""


def main(words: Sequence[str]) -> int:
    options = make_parser().parse_args(words)
    commands = Commands(options.dry_run)
    try:
        options.command(options, commands)
    except StepFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except InvalidUse as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def version(options: Options, commands: Commands) -> None:
    """Print the version of the working copy: of its tag, or what lies between two tags."""
    print(read_source_version(ROOT).version)


def build(options: Options, commands: Commands) -> None:
    """Build an image; nothing is pushed."""
    _check_variable("IMAGE_TARGET", options.target, NAME_OF_TARGET)
    _check_variable("IMAGE_REQUIREMENTS", options.requirements, REQUIREMENTS)
    source = read_source_version(ROOT)
    source = replace(source, revision=options.revision or source.revision, version=options.version or source.version)
    engine = options.engine or ("docker" if commands.dry_run else find_engine(commands))
    local = f"localhost/{NAME_OF_TARGET[options.target]}:{source.image_tag}{tag_suffix(options.requirements)}"
    record = ImageRecord(
        local,
        engine,
        options.target,
        source.version,
        source.revision,
        _base(options),
        requirements=options.requirements,
    )
    repository = find_repository(options.repository, options.environment, options.target) if engine == "acr" else ""
    create_engine(engine, commands, repository).build(_order(record, source, options))
    if not commands.dry_run:
        record.write(Path.cwd())
    print(record.version)


def push(options: Options, commands: Commands) -> None:
    """Push the image by its version and its commit; print its reference by digest."""
    record = _record(options, commands)
    repository = find_repository(options.repository, options.environment, record.target)
    source = SourceVersion(record.version, record.revision, None)
    sign_in(repository, record.engine, commands)
    engine = create_engine(record.engine, commands, repository)
    tags = [f"{name}{tag_suffix(record.requirements)}" for name in (source.image_tag, record.revision)]
    digest = engine.push(_order(record, source, options), repository, tags)
    if commands.dry_run:
        return
    bases.check_digest(digest, f"the registry's answer for {repository}")
    pushed = replace(record, repository=repository, digest=digest)
    pushed.write(Path.cwd())
    print(pushed.reference)


def sbom(options: Options, commands: Commands) -> None:
    """Write the list of components that are in the image, in the form CycloneDX."""
    record = _record(options, commands)
    file = Path(options.output).absolute()
    words = ("--output", str(file), "--version", record.version, "--requirements", record.requirements)
    commands.run(str(ROOT / "dev"), "sbom", *words)


def scan(options: Options, commands: Commands) -> None:
    """Check the image for known vulnerabilities that a newer version fixes."""
    scanning.scan(_record(options, commands), commands, options.severity)


def size(options: Options, commands: Commands) -> None:
    """Print what the image adds to its base, by layer; exit 1 above the limit."""
    found = layers.measure(_record(options, commands), commands)
    total = sum(layer.bytes for layer in found) / 1e6
    print(*found, f"{total:>8.1f} MB over the base, limit {options.limit:g} MB", sep="\n")
    if total > options.limit:
        raise StepFailed(f"the image adds {total:.1f} MB to its base, {options.limit:g} MB are allowed.")


def sign(options: Options, commands: Commands) -> None:
    """Sign the pushed image, its list of components and its provenance."""
    identity = signing.Identity(options.key, insecure=options.allow_http)
    signing.sign(_record(options, commands), commands, identity, Path(options.sbom).absolute(), options.source)


def verify(options: Options, commands: Commands) -> None:
    """Verify the signatures of an image."""
    identity = signing.Identity(options.key, options.certificate_identity, options.issuer, options.allow_http)
    record = _record(options, commands)
    if options.image:
        repository, _, digest = options.image.partition("@")
        record = replace(record, repository=repository, digest=bases.check_digest(digest, "--image"))
    signing.verify(record, commands, identity)


def pin_bases(options: Options, commands: Commands) -> None:
    """Compare the pinned base images with their tags; with --update, pin the newest ones."""
    print(*bases.update_bases(replace(commands, dry_run=commands.dry_run or not options.update)), sep="\n")


def _record(options: Options, commands: Commands) -> ImageRecord:
    """Return the record of the build; in a dry run or for another image, a made-up one without a build."""
    is_given = (Path.cwd() / IMAGE_FILE).exists()
    if is_given or not (commands.dry_run or options.image):
        return read_record(Path.cwd())
    source = read_source_version(ROOT)
    digest = f"sha256:{'0' * 64}"
    local = f"localhost/scheduler:{source.image_tag}"
    return ImageRecord(local, "docker", "functions", source.version, source.revision, "", "registry/scheduler", digest)


def _check_variable(name: str, value: str, known: Collection[str]) -> None:
    """Raise InvalidUse for a variable with another value: argparse judges options alone."""
    if value not in known:
        raise InvalidUse(f"{name}: expected one of {', '.join(known)}, found {value!r}")


def _base(options: Options) -> str:
    name = bases.BASE_OF_TARGET[options.target]
    pinned = bases.read_bases()[name]
    given = options.base_digest if options.target == "functions" else options.python_digest
    digest = bases.check_digest(given, "the digest of the base") or pinned["digest"]
    bases.require_digest(digest, name, os.environ)
    return f"{options.base_image or pinned['image']}{'@' if digest else ''}{digest}"


def _order(record: ImageRecord, source: SourceVersion, options: Options) -> BuildOrder:
    image, _, digest = record.base.partition("@")
    name = bases.BASE_OF_TARGET[record.target]
    arguments = {f"{name}_IMAGE": image, f"{name}_DIGEST": digest}
    arguments |= {"REVISION": source.revision, "VERSION": source.version}
    arguments["REQUIREMENTS"] = record.requirements if tag_suffix(record.requirements) else ""
    given = {key: value for key, value in arguments.items() if value}
    target = "" if record.target == "functions" else record.target
    return BuildOrder(record.local, target, given, pull=not options.no_pull, cache=not options.no_cache)


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="infra/pipeline/image", epilog=EXPLANATION)
    parser.add_argument("--dry-run", action="store_true", help="print the commands that would change something")
    parsers = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Command, *groups: OptionGroup) -> None:
        added = parsers.add_parser(name, help=command.__doc__, description=command.__doc__)
        added.add_argument("--dry-run", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        added.set_defaults(command=command, image="", no_pull=False, no_cache=False)
        for group in groups:
            group(added)

    add("version", version)
    add("build", build, _add_build, _add_repository)
    add("sbom", sbom, lambda one: _add(one, "--output", SBOM_FILE, "file to write"))
    add("scan", scan, lambda one: _add(one, "--severity", "high", "lowest one that counts", ("high", "critical")))
    add("size", size, lambda one: one.add_argument("--limit", type=float, default=layers.MAX_MEGABYTES))
    add("push", push, _add_repository)
    add("sign", sign, _add_sign)
    add("verify", verify, _add_verify)
    add("bases", pin_bases, lambda one: one.add_argument("--update", action="store_true"))
    return parser


def _add(
    parser: argparse.ArgumentParser, name: str, default: str, text: str, choices: Sequence[str] | None = None
) -> None:
    parser.add_argument(name, default=default, help=text, choices=choices)


def _add_build(parser: argparse.ArgumentParser) -> None:
    _add(
        parser,
        "--target",
        os.environ.get("IMAGE_TARGET") or "functions",
        "default: IMAGE_TARGET",
        tuple(NAME_OF_TARGET),
    )
    requirements = os.environ.get("IMAGE_REQUIREMENTS") or REQUIREMENTS[0]
    _add(parser, "--requirements", requirements, "packages of the image; default: IMAGE_REQUIREMENTS", REQUIREMENTS)
    _add(parser, "--engine", "", "default: the first one that works here", ("", *ENGINES))
    _add(parser, "--revision", "", "default: the commit of the working copy")
    _add(parser, "--version", "", "default: from the tags of git")
    _add(parser, "--base-image", "", "default: infra/pipeline/bases.json")
    _add(parser, "--base-digest", "", "sha256:... of the Functions base; default: infra/pipeline/bases.json")
    _add(parser, "--python-digest", "", "the same for the target embedded")
    parser.add_argument("--no-pull", action="store_true", help="use the base image that this machine has")
    parser.add_argument("--no-cache", action="store_true", help="repeat every step")


def _add_repository(parser: argparse.ArgumentParser) -> None:
    _add(parser, "--repository", "", "such as contoso.azurecr.io/scheduler; default: IMAGE_REPOSITORY")
    _add(parser, "--environment", os.environ.get("TARGET", ""), "or the registry of infra/environments/NAME.json")


def _add_sign(parser: argparse.ArgumentParser) -> None:
    _add(
        parser,
        "--key",
        os.environ.get("SIGNING_KEY", ""),
        "file or URI of the private key; default: SIGNING_KEY, or none",
    )
    _add(parser, "--sbom", SBOM_FILE, "list of components")
    _add(parser, "--source", "unknown", "address of the repository, for the provenance")
    parser.add_argument("--allow-http", action="store_true", help="for a registry on this machine")


def _add_verify(parser: argparse.ArgumentParser) -> None:
    _add(parser, "--image", "", f"REPOSITORY@sha256:...; default: {IMAGE_FILE}")
    _add(parser, "--key", "", "file or URI of the public key")
    _add(parser, "--certificate-identity", "", "who signed without a key")
    _add(parser, "--issuer", "", "who vouched for that identity")
    parser.add_argument("--allow-http", action="store_true", help="for a registry on this machine")
