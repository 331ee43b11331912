"""One stage of compression per file: a frozen dataclass that is the recipe entry, with apply(model, context).

`numerics.py` says which target stores what how; `quantize.py` decides the integers that all targets store.
"""
