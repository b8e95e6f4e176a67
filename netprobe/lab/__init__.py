"""Private labs: the only code that changes a system, and only inside namespaces it made itself."""
