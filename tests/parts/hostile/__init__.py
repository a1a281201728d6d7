"""Job files as an attacker would write them, from a seed. Used by tests and by bench/hostile_files.py.

    file = hostile_file(seed)      # HostileFile(name, content, kind): the same for the same seed

`files` puts them together from `values` (scalars), `schedules`, `places` (URLs, hosts, paths), `bodies`, `patterns`
(regular expressions, CEL and JSONPath), `definitions` (jobs) and `texts` (what only YAML or JSON as a text can do).
`runner` validates them in a process with limits.
"""
