"""The file in which one step's variables are stored; written once, never changed.

``docs/pack-format.md`` describes every byte.
"""
