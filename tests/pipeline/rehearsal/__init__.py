"""Releases with real processes: the scripts, a program `az` on PATH, a registry, and embedded hosts. `./dev rehearsal`.

pytest does not collect these files by itself, as their names begin with `rehearse_`.
"""
