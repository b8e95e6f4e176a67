"""All pairs of many namespaces, asked from one process: what the matrix is made of."""
