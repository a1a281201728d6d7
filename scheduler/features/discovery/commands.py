"""`discover azure`: job files and role assignments for the resources of subscriptions, and what has no check."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.formats import format_count
from scheduler.cli.output import EXIT_CHANGES, EXIT_FAILED, fail, print_note, print_warning, show_tabs

if TYPE_CHECKING:
    from config.job_files.job_set import JobSet
    from scheduler.features.discovery.inventory import Inventory, Post
    from scheduler.features.discovery.models import DiscoveryReport
    from scheduler.features.discovery.service import Discovery

ABOUT = """Discovery: jobs for what exists, and what exists without a job.

\b
Examples:
  discover azure --subscription 00000000-0000-4000-8000-000000000001 --out config/jobs
  discover azure --diff"""

discover = typer.Typer(help=ABOUT, no_args_is_help=True)
_MAX_NOTES = 10


SubscriptionOption = Annotated[
    list[str] | None,
    typer.Option("--subscription", metavar="ID", help="Subscription. Repeatable. (default: all that you can read)"),
]
GroupOption = Annotated[str, typer.Option("--resource-group", metavar="NAME", help="Only this resource group.")]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FOLDER",
        help="Write a job file for each resource group, and Bicep of roles. (default: print one job file)",
        file_okay=False,
    ),
]
DiffOption = Annotated[
    bool, typer.Option("--diff", help="Write nothing; show what differs from the jobs. Exit code 3 if something does.")
]
IgnoreOption = Annotated[
    list[str] | None,
    typer.Option("--ignore", metavar="PATTERN", help="Id, name or host that needs no check. Repeatable."),
]


@discover.callback()
def _group() -> None:
    """Make `azure` a subcommand, although it is the only one."""


@discover.command("azure")
def discover_azure(
    subscriptions: SubscriptionOption = None,
    group: GroupOption = "",
    out: OutOption = None,
    diff: DiffOption = False,
    ignore: IgnoreOption = None,
    stored: Annotated[bool, typer.Option("--stored", help="Add the stored jobs, which need the store.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find the checks that the resources of Azure subscriptions need, and write them as jobs.

    Resource Graph is read as you: with environment variables, a managed identity, or `az login`; you need the role
    Reader. What a job checks already is omitted. A file that was edited is left alone. A resource with the tag
    scheduler=ignore needs no check.

    \b
    Examples:
      discover azure --subscription 00000000-0000-4000-8000-000000000001 > jobs.yaml
      discover azure --resource-group shop --out config/jobs
      discover azure --diff --ignore "*-sandbox" --json
    """
    from scheduler.cli.listing import show_model
    from scheduler.features.discovery.files import write_jobs

    _check_options(subscriptions or (), group, out, diff=diff)
    jobs = _load_jobs(stored=stored)
    inventory = _read_inventory(jobs, tuple(subscriptions or ()), group)
    found = _compare(inventory, jobs, out, ignore or (), group)
    report = found.report
    if as_json:
        show_model(report)
    elif diff or out is not None:
        _show(report, is_diff=diff)
    else:
        print(write_jobs(found.list_jobs()), end="")
    _note(report, inventory, is_diff=diff)
    if diff and (report.missing or report.stale):
        raise typer.Exit(EXIT_CHANGES)


def _compare(inventory: Inventory, jobs: JobSet, out: Path | None, ignore: Sequence[str], group: str) -> Discovery:
    """Compare, and write the files. A file that cannot be read or written ends the command with 1."""
    from scheduler.features.discovery.files import list_names, list_own, write_files
    from scheduler.features.discovery.service import discover as compare

    try:
        own = [] if out is None else list_own(out)
        names = [list_names(one) for one in own if not one.is_edited and inventory.covers(one.group)]
        found = compare(inventory, jobs, frozenset().union(*names), ignore, group)
        if out is not None:
            files = found.plan_files(out, own)
            obsolete = [one for one in own if one.path not in files and one.group and inventory.covers(one.group)]
            found.report.files = list(write_files(files, obsolete))
    except OSError as error:
        fail(f"could not write the files in {out}: {(error.strerror or type(error).__name__).lower()}", EXIT_FAILED)
    return found


def _check_options(subscriptions: Sequence[str], group: str, out: Path | None, *, diff: bool) -> None:
    from scheduler.features.discovery.inventory import RESOURCE_GROUP, SUBSCRIPTION

    for subscription in subscriptions:
        if not SUBSCRIPTION.fullmatch(subscription):
            fail(f"--subscription: expected the id, such as 00000000-0000-4000-8000-000000000001, got {subscription!r}")
    if group and not RESOURCE_GROUP.fullmatch(group):
        fail(f"--resource-group: expected the name of a resource group, got {group!r}")
    if diff and out is not None:
        fail("--diff writes nothing: remove --out")


def _load_jobs(*, stored: bool) -> JobSet:
    from scheduler.cli.context import load_for_command

    configuration = load_for_command("discover azure")
    if not stored:
        return configuration.jobs
    from scheduler.cli.selection import add_stored_jobs

    return add_stored_jobs(configuration.jobs, configuration.settings)


def _read_inventory(jobs: JobSet, subscriptions: Sequence[str], group: str) -> Inventory:
    """Read Resource Graph. A failure ends the command with 1."""
    from urllib.parse import urlsplit

    import httpx

    from jobs.responses import BlockingClient
    from jobs.targets.azure_apis import find_cloud
    from observability.generation.azure.arm_client import ArmClient, fetch_access_token
    from observability.generation.azure.target import CLIENT_VARIABLE, read_url
    from observability.generation.document import ToolError
    from scheduler.features.discovery.inventory import API_VERSION, PATH, DiscoveryFailed, read_inventory
    from scheduler.features.discovery.needs import list_paths

    place = ", ".join(f"/subscriptions/{each}" for each in subscriptions) or "the subscription"
    try:
        url = read_url(os.environ)
        fetch = partial(fetch_access_token, url, os.environ.get(CLIENT_VARIABLE) or None)
        with BlockingClient(httpx.AsyncClient(base_url=url)) as client:
            arm = ArmClient(
                client, fetch, remedies={403: f"assign the role Reader to who runs this command at {place}"}
            )
            post: Post = lambda body: arm.post(PATH, {"api-version": API_VERSION}, body)  # noqa: E731 - a port
            cloud = find_cloud(urlsplit(url).hostname or "")
            return read_inventory(post, subscriptions, group, list_paths(jobs.presets), cloud)
    except (ToolError, DiscoveryFailed) as error:
        fail(str(error), EXIT_FAILED)


def _show(report: DiscoveryReport, *, is_diff: bool) -> None:
    """Print a line for each difference or file."""
    if is_diff:
        rows = [("missing", each.check, each.resource, "") for each in report.missing]
        rows += [("stale", each.job, each.resource, each.origin) for each in report.stale]
        if rows:
            show_tabs(("difference", "check", "resource", "origin"), rows)
    for file in report.files:
        print(f"{file.action}\t{file.path}")


def _note(report: DiscoveryReport, inventory: Inventory, *, is_diff: bool) -> None:
    """Print on stderr what is not in the result, and the counts."""
    _warn([f"{each.resource}: no {each.check}: {each.reason}" for each in report.unfit])
    _warn([f"{file.path} was edited and is left alone; --diff shows what it lacks"
           for file in report.files if file.action == "edited"])  # fmt: skip
    _warn([f"assign the role {each.role} yourself: {each.scope}" for each in report.roles_by_hand])
    if inventory.unusable:
        print_warning(f"{format_count(inventory.unusable, 'row')} of Resource Graph have no valid id")
    resources = f"{format_count(report.resources, 'resource')}, {report.ignored} ignored"
    missing = f"{len(report.missing)} {'missing' if is_diff else 'as jobs here'}"
    stale = f"{format_count(len(report.stale), 'job')} without a resource"
    covered = f"{format_count(report.covered, 'check')} {'present' if is_diff else 'by other jobs'}"
    print_note(f"{resources}; {covered}, {missing}; {stale}")


def _warn(texts: Sequence[str]) -> None:
    for text in texts[:_MAX_NOTES]:
        print_warning(text)
    if len(texts) > _MAX_NOTES:
        print_warning(f"{len(texts) - _MAX_NOTES} more: --json lists all")
