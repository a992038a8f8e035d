"""Kernels that are ready before their step is, and none that outlives its run."""
