"""The file in which one step's variables are stored; written once, never changed."""

from kale_pm.runtime.storage.pack_reader import Pack
from kale_pm.runtime.storage.pack_writer import StoredPack, check, type_name, write_pack

__all__ = ["Pack", "StoredPack", "check", "type_name", "write_pack"]
