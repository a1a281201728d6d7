"""What the images of the slower stage are built on, in place of Microsoft's and Python's base images."""
