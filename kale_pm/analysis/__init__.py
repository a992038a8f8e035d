"""Understand: what flows between the steps, by reading their code.

``understand`` is the one door.  Inside, from the bottom up: ``effects`` (nouns), ``known``
(tables), ``sharing`` (what a value may share), ``namespace``, ``expressions``, ``statements``
(following code), ``scan`` (one block), ``graph``, ``resolve`` (sources over the graph),
``edges``, ``problems``.
"""

from kale_pm.analysis.understand import understand

__all__ = ["understand"]
