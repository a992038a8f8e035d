"""How each tool saves a value into a folder of its own and loads it again, as its users do.

Tools are imported when they are used: no environment needs to have all of them.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PLAIN = "pickle 5"
OURS = "kale-pm"
UNHASHED = "kale-pm, no hash"
MAPPED = "joblib, mapped"
KALE = "Kale"


@dataclass(frozen=True)
class Marshaller:
    """``load`` is None where loading shows nothing that another tool does not show."""

    save: Callable[[Any, Path], None]
    load: Callable[[Path], Any] | None
    needs: tuple[str, ...] = ()


def _save_pickle(value: Any, folder: Path) -> None:
    with (folder / "value").open("wb") as file:
        pickle.dump(value, file, protocol=5)


def _load_pickle(folder: Path) -> Any:
    with (folder / "value").open("rb") as file:
        return pickle.load(file)


def _save_cloudpickle(value: Any, folder: Path) -> None:
    import cloudpickle

    with (folder / "value").open("wb") as file:
        cloudpickle.dump(value, file)


def _save_dill(value: Any, folder: Path) -> None:
    import dill

    with (folder / "value").open("wb") as file:
        dill.dump(value, file)


def _load_dill(folder: Path) -> Any:
    import dill

    with (folder / "value").open("rb") as file:
        return dill.load(file)


def _save_joblib(value: Any, folder: Path) -> None:
    import joblib

    joblib.dump(value, folder / "value")


def _load_joblib(folder: Path) -> Any:
    import joblib

    return joblib.load(folder / "value")


def _map_joblib(folder: Path) -> Any:
    import joblib

    return joblib.load(folder / "value", mmap_mode="c")


def _save_kale(value: Any, folder: Path) -> None:
    from kale import marshal

    marshal.set_data_dir(str(folder))
    marshal.save(value, "value")


def _load_kale(folder: Path) -> Any:
    from kale import marshal

    marshal.set_data_dir(str(folder))
    return marshal.load("value")


def _save_ours(value: Any, folder: Path) -> None:
    from kale_pm.runtime.storage.pack.writer import write_pack

    write_pack(folder, [{"value": value}], frozenset())


def _load_ours(folder: Path) -> Any:
    from kale_pm.runtime.storage.pack.reader import Pack

    (path,) = folder.glob("*.pack")
    pack = Pack(path)
    return pack.load(pack.components[0].id)["value"]


def _save_unhashed(value: Any, folder: Path) -> None:
    import xxhash

    hashes = xxhash.xxh3_128, xxhash.xxh3_128_hexdigest
    xxhash.xxh3_128 = _NoHash
    xxhash.xxh3_128_hexdigest = lambda _: _NoHash().hexdigest()
    try:
        _save_ours(value, folder)
    finally:
        xxhash.xxh3_128, xxhash.xxh3_128_hexdigest = hashes


class _NoHash:
    """Stands for a hash, and takes no time."""

    def update(self, _: object) -> None:
        pass

    def hexdigest(self) -> str:
        return "0" * 32


MARSHALLERS: dict[str, Marshaller] = {
    PLAIN: Marshaller(_save_pickle, _load_pickle),
    OURS: Marshaller(_save_ours, _load_ours),
    UNHASHED: Marshaller(_save_unhashed, None),
    "cloudpickle": Marshaller(_save_cloudpickle, _load_pickle, ("cloudpickle",)),
    "dill": Marshaller(_save_dill, _load_dill, ("dill",)),
    "joblib": Marshaller(_save_joblib, _load_joblib, ("joblib",)),
    MAPPED: Marshaller(_save_joblib, _map_joblib, ("joblib",)),
    KALE: Marshaller(_save_kale, _load_kale, ("kale",)),
}
