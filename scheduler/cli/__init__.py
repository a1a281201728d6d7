"""The command line: a file a command, put together in main. Imports nothing here: `--help` and `next` start fast."""
