"""Makes the file trees of the container images, with Python's standard library alone. The Dockerfile runs assemble."""
