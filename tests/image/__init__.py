"""The trees of the images without building them, and the scripts that build them."""
