"""Adding a command touches its own file and one line of the registry."""

from __future__ import annotations

from tests.project.changes.sample_change import SampleChangeFactory

COMMAND = '''"""`count`: print the number of jobs."""

from __future__ import annotations


def count() -> None:
    """Print the number of jobs."""
    from scheduler.cli.context import load_for_command

    print(len(load_for_command("count").jobs.jobs))
'''
JOBS = "jobs:\n  checkout-api: {check: {url: 'http://127.0.0.1:9/'}}\n"


def test_a_cli_command(sample_change: SampleChangeFactory) -> None:
    change = sample_change("a CLI command")
    change.write("scheduler/features/jobs/count_commands.py", COMMAND)
    change.insert(
        "scheduler/cli/registry.py",
        after='"jobs": CommandEntry(',
        text='    "count": CommandEntry("scheduler.features.jobs.count_commands", "count", Needs.USABLE),',
    )
    jobs = change.folder.parent / "jobs.yaml"
    jobs.write_text(JOBS)
    environment = {"SCHEDULER_ENVIRONMENT": "test", "SCHEDULER_JOBS": str(jobs)}

    assert change.cli("count", **environment).stdout == "1\n"
    assert "Print the number of jobs." in change.cli("--help", **environment).stdout
    change.pytest("tests/scheduler/cli/test_needs.py", "-k", "decided_for_every_command")
    change.assert_touches_documented_files()
