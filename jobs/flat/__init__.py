"""The flat form of a job, as existing deployments have it, turned into the full form. Called by config.job_files.reader.

    {"JobName": "databaseHealth", "Endpoint": "https://...", "HttpMethod": "GET", "AuthType": "none",
     "TimeoutSeconds": 10}

Keys count in any case, with or without underscores and hyphens; what is null or an empty text counts as absent.
`JobName` names the job; without it the key in the file does.
"""

from jobs.flat.conversion import FlatJob, convert_flat_job
from jobs.flat.keys import is_flat_job, is_flat_key

__all__ = ["FlatJob", "convert_flat_job", "is_flat_job", "is_flat_key"]
