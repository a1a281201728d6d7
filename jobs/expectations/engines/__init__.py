"""Regular expressions, JSONPath and CEL with limits of time and memory. Used by the entries, jobs.targets and jobs.checks."""
