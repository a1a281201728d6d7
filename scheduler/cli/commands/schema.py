"""`schema`: print the JSON schema of job files, for editors."""

from __future__ import annotations

from typing import Annotated

import typer

from scheduler.cli.output import show_json


def schema(
    job: Annotated[bool, typer.Option("--job", help="The schema of one job instead of a file.")] = False,
) -> None:
    """Print the JSON schema of job files, with which editors complete and check them.

    \b
    Examples:
      schema > jobs.schema.json    # first line of a file: # yaml-language-server: $schema=jobs.schema.json
      schema --job
    """
    from jobs.schemas import create_file_schema, create_job_schema, format_schema

    show_json(format_schema(create_job_schema() if job else create_file_schema()))
