"""The source `datadog`: tests of Datadog Synthetics as JSON of its API."""
