"""Container runtimes: who knows a container's name, and which process proves it.

Nothing here starts, stops or changes one.

`registry` joins them; it is imported when a name needs it. `glance` is the little that a namespace's name
needs.
"""
