"""The installed scheduler: its command in __main__, and the program's packages in the folder `tree`."""
