"""A stand-in for the parts of Azure that the scripts use: its state, the commands of `az`, and what runs."""
