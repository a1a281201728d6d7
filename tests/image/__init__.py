"""The trees of the images without building them, the scripts that build them, and below `built`, in the
slower stage `./dev image`, the images themselves."""
