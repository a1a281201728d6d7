"""JSON schemas (2020-12) of a job and of a job file, for editors. Called by scheduler.api and scheduler.cli.

They describe what the models accept, in the full and in the flat form. A document that loads is valid by its schema;
rules between keys, such as a window that fits a circuit, are checked by `validate` alone.
"""

from jobs.schemas.documents import create_file_schema, create_job_schema

__all__ = ["create_file_schema", "create_job_schema"]
