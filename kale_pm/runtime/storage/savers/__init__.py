"""All savers of kale-pm, registered by importing this package.

A saver is there only where plain pickle copies, fails, or changes what an object means.  The
libraries are imported when an object needs them.
"""

from kale_pm.runtime.storage.savers import (
    arrays,
    caches,
    figures,
    files,
    frames,
    keras_models,
    standard,
    tensors,
)

__all__ = ["arrays", "caches", "figures", "files", "frames", "keras_models", "standard", "tensors"]
