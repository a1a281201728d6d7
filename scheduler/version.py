"""The program's version, the only place in the sources that contains it.

It is the version of the next tag. The image of a commit sets the exact one, from the tags of git, as SCHEDULER_VERSION:
see infra/pipeline/image and docs/supply-chain.md.
"""

VERSION = "0.2.0"
VERSION_VARIABLE = "SCHEDULER_VERSION"
