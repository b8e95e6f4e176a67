"""The cause of a loss is its repair: the smallest change after which the probe would pass. Pure.

Candidates are made, one file a kind of object; each is applied to the snapshot and the probe walked again,
both ways; those with which it passes are ranked by stated reasons. This is diagnosis from a model by minimal
corrections (R. Reiter, A theory of diagnosis from first principles, Artificial Intelligence 32, 1987).
"""
