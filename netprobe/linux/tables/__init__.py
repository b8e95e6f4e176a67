"""The tables of one namespace, a file each: asked of the kernel, decoded into values of the model."""
