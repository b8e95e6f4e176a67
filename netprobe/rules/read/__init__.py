"""Rulesets as their tools print them, read into the one form that is evaluated. Pure."""
