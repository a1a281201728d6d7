"""Parses the arguments of the scripts, and turns errors and signals into exit codes.

0: done, 1: failed, 2: an argument, a file or a variable is unusable.

Called by infra/pipeline/deploy, verify, rollback, status, plan, what-if and sign-in.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from delivery.app.http import UrllibHttp
from delivery.az import Az, execute_program
from delivery.clock import MachineClock, parse_duration
from delivery.context import Context, keys_from
from delivery.deploy import deploy
from delivery.environment import ENVIRONMENTS, read_environment
from delivery.errors import DeliveryError
from delivery.plan import ROOT, plan
from delivery.reporter import Reporter
from delivery.rollback import roll_back_to_image, roll_back_to_record
from delivery.sign_in import sign_in
from delivery.status import print_status
from delivery.verify import verify
from delivery.what_if import write_what_if

JOBS = ROOT / "config" / "jobs"

CreateContext = Callable[[argparse.Namespace], Context]

_EXIT_CODES = "Exit codes: 0 done, 1 failed, 2 an argument, file or variable is unusable."
_DESCRIPTIONS = {
    "deploy": "Deploy an image by its digest. What runs now is recorded first; `rollback` restores it from the record.",
    "verify": "Verify a deployment: version, timer, queue, number of runs, failing jobs, all of it during a soak.",
    "rollback": "Restore the recorded image and wait until its version serves and plans, whatever `deploy` reached.",
    "status": "Print what runs where.",
    "plan": "Write what the job files of this working copy would change, as Markdown for the person who approves.",
    "what-if": "Compile and lint the templates, and write what a deployment would change, as Markdown.",
    "sign-in": "Sign in to Azure without a secret, for pipelines. People use `az login`.",
}


def main(script: str, arguments: Sequence[str], create: CreateContext | None = None) -> int:
    """Run a script with its arguments and return its exit code."""
    options = _parse(script, arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        context = (create or _create_context)(options)
        _run(script, context, options)
    except DeliveryError as error:
        Reporter(MachineClock(), _secrets(options, os.environ)).fail(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        print(f"error: interrupted. {_after_interruption(script)}", file=sys.stderr)
        return 1
    return 0


def _run(script: str, context: Context, options: argparse.Namespace) -> None:
    if script == "deploy":
        deploy(context, options.image, options.version, options.record)
    elif script == "verify":
        verify(context, options.version, options.record)
    elif script == "sign-in":
        sign_in(context, options.token_file)
    elif script == "what-if":
        write_what_if(context, options.markdown)
    elif script == "plan":
        plan(context, options.jobs, options.markdown, execute_program)
    elif script == "status":
        print_status(context, as_json=options.json)
    elif options.record is not None:
        roll_back_to_record(context, options.record)
    else:
        roll_back_to_image(context, options.image, options.version)


def _create_context(options: argparse.Namespace) -> Context:
    environment = read_environment(options.environment, options.environments)
    given = {name: getattr(options, name, None) for name in ("soak", "within", "poll")}
    limits = replace(environment.verify, **{name: value for name, value in given.items() if value is not None})
    environment = replace(environment, verify=limits)
    clock = MachineClock()
    reporter = Reporter(clock, _secrets(options, os.environ))
    az = Az(environment.subscription, reporter, clock, dry_run=getattr(options, "dry_run", False))
    return Context(environment, az, UrllibHttp(), clock, reporter, keys_from(environment, os.environ))


def _secrets(options: argparse.Namespace, variables: Mapping[str, str]) -> list[str]:
    """Return the values of the keys; none if the environment file is unusable."""
    try:
        keys = keys_from(read_environment(options.environment, options.environments), variables)
    except DeliveryError:
        return []
    return [keys.read, keys.operate]


def _parse(script: str, arguments: Sequence[str]) -> argparse.Namespace:
    parser = _parser(script)
    options = parser.parse_args(arguments)
    if script == "rollback":
        given = (options.record is not None, options.image is not None, options.version is not None)
        if given not in ((True, False, False), (False, True, True)):
            parser.error("give either --record FILE, or --image REPOSITORY@sha256:... with --version V")
    return options


def _parser(script: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=script, description=_DESCRIPTIONS[script], epilog=_EXIT_CODES)
    parser.add_argument("environment", metavar="ENVIRONMENT", help="infra/environments/ENVIRONMENT.json")
    parser.add_argument(
        "--environments",
        type=Path,
        default=ENVIRONMENTS,
        metavar="FOLDER",
        help="of the files; default: infra/environments",
    )
    if script == "status":
        parser.add_argument("--json", action="store_true", help="print JSON")
        return parser
    parser.add_argument("--dry-run", action="store_true", help="print each command and request, and run none")
    if script in ("plan", "what-if"):
        parser.add_argument("--markdown", required=True, type=Path, metavar="FILE", help="is written")
    if script == "what-if":
        return parser
    if script == "plan":
        parser.add_argument(
            "--jobs", type=Path, default=JOBS, metavar="PATH", help="file or folder; default: config/jobs"
        )
        return parser
    if script == "sign-in":
        identity = parser.add_mutually_exclusive_group(required=True)
        identity.add_argument(
            "--token-file", type=Path, metavar="FILE", help="with the token of a federated credential"
        )
        identity.add_argument("--managed-identity", action="store_true", help="that of this machine")
        return parser
    is_rollback = script == "rollback"
    if script != "verify":
        parser.add_argument("--image", required=not is_rollback, metavar="REPOSITORY@sha256:...", help="by digest")
    parser.add_argument("--version", required=not is_rollback, metavar="V", help="what /api/health reports of it")
    parser.add_argument("--record", required=not is_rollback, type=Path, metavar="FILE", help="written by deploy")
    _add_times(parser, script)
    return parser


def _add_times(parser: argparse.ArgumentParser, script: str) -> None:
    options: dict[str, str] = {"within": "time until the version is ready", "poll": "time between two requests"}
    if script == "verify":
        options = {"soak": "time in which all checks are repeated", **options}
    for name, help_text in options.items():
        parser.add_argument(f"--{name}", type=_duration, metavar="TIME", help=f"{help_text}; default: environment file")


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _interrupt(*_arguments: object) -> None:
    """Unwind on SIGTERM, so that a running `az` is ended as well."""
    raise KeyboardInterrupt


def _after_interruption(script: str) -> str:
    if script == "deploy":
        return "If the record exists, run `rollback` with it: the old version is put in service again."
    return "Run the script again."
