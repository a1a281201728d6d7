"""The program's version, equal to that of pyproject.toml: the program runs from its folder and is never installed."""

VERSION = "0.1.0"
