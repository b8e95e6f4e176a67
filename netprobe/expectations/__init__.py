"""Declared expectations: a YAML file to frozen values and back, and whether a report is as expected. Pure.

`document` is the text as a tree with line and column, `keys` says which key may stand where, `read` makes
expectations of them, `judge` holds a report against one, `written` is the way back.
"""
