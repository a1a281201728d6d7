"""Commands on jobs that are stored: sets, versions, restore and delete."""
