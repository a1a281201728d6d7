"""Commands on whole stores: backup, restore, move."""
