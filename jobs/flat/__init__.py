"""Converts flat jobs, as existing deployments have them, into the full form. Called by config.job_files.entries.

    {"JobName": "databaseHealth", "Endpoint": "https://...", "HttpMethod": "GET", "AuthType": "none",
     "TimeoutSeconds": 10}

Keys match in any case, with or without underscores and hyphens. Null and empty texts count as absent.
The name of the job is `JobName`, or else its key in the file.
"""

from jobs.flat.conversion import FlatJob, convert_flat_job
from jobs.flat.reading import is_flat_job, is_flat_key

__all__ = ["FlatJob", "convert_flat_job", "is_flat_job", "is_flat_key"]
