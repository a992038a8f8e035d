"""Understand: what flows between the steps, by reading their code.

``understand`` is the one door.  Inside, from the bottom up:

- nouns: ``effects`` (of code), ``groups`` (of variables), ``knowledge`` (of variables),
  ``state`` (what is bound), and ``known``, the tables about other people's code;
- questions about one expression: ``sharing``, ``stars``;
- following code, each built on the one before: ``namespace``, ``expressions``, ``calls``
  with ``magics``, ``targets``, ``definitions`` with ``summary``, ``statements``, ``scan``;
- the steps together: ``graph``, ``resolve``, ``edges``, ``missing``, ``problems``.
"""

from kale_pm.analysis.understand import understand

__all__ = ["understand"]
