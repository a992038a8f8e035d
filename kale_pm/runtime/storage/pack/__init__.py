"""The file in which one step's variables are stored; written once, never changed.

``docs/pack-format.md`` describes every byte.
"""

from kale_pm.runtime.storage.pack.reader import Pack
from kale_pm.runtime.storage.pack.writer import StoredPack, check, type_name, write_pack

__all__ = ["Pack", "StoredPack", "check", "type_name", "write_pack"]
