"""The source `gatus`: endpoints, external endpoints and suites become jobs."""
