"""The trees of the images without building them, and, in the slower stage `./dev image`, the images themselves."""
