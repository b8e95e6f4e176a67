"""Observations laid over a prediction: the verdict, what a loss rests on, its root, and what would come after
the fix. Pure.
"""
