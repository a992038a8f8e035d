"""Commands of ``kale-pm``, a module for each group; ``cli`` puts them together."""
