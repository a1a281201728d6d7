"""JSON schemas (2020-12) of a job and of a job file, for editors. Called by scheduler.features.jobs.

They describe what the models accept, in the full and in the flat form. A document that loads is valid by its schema;
rules between keys, such as a window that fits a circuit, are checked by `validate` alone.

No alternatives are tried: conditions select the schema of a value by its type, `kind` or key, so that an editor reports
a mistake once, at its key. The keywords are those of draft 7, `$defs`, and descriptions next to `$ref`: the language
servers of editors know them.
"""

from jobs.schemas.documents import create_file_schema, create_job_schema, format_schema

__all__ = ["create_file_schema", "create_job_schema", "format_schema"]
