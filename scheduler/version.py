"""The program's version, as pyproject.toml has it: the program runs from its folder and is never installed."""

VERSION = "0.1.0"
