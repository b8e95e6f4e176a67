"""The rulesets of one namespace: which tables the kernel has, whose they are, and what their tools print."""
