"""The slower stage `./dev image`: both images, built by the unmodified Dockerfile on stand-ins for their bases, run.

It needs Debian and root. Without IMAGE_STAGE in the environment nothing here is collected.
"""
