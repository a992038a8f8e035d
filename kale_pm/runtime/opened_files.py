"""Which files a step opened: the audit that makes cached results safe to reuse.

Python raises an audit event for every ``open``, ``listdir`` and sqlite connection.  Readers
written in other languages can bypass it; for those the cache also looks at literal paths.
Below the notebook's folder everything counts, elsewhere the files that were read.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_ACCESS = os.O_RDONLY | os.O_WRONLY | os.O_RDWR

# Folders of the system and of Jupyter: what is read there belongs to the machine.
_SYSTEM = (
    *("/proc", "/sys", "/dev", "/etc", "/bin", "/sbin", "/lib", "/lib64"),
    *("/usr/share", "/usr/lib", "/usr/lib64", "/usr/bin", "/usr/local/share/fonts", "/var/cache"),
    *("/System", "/Library", "~/Library/Caches", "~/Library/Fonts", "~/Library/Jupyter"),
)
_NAMED_BY_ENVIRONMENT = (
    *("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"),
    *("MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"),
    "KALE_PM_PACKS",
)

_read: set[str] = set()
_written: set[str] = set()
_of_prelude: tuple[frozenset[str], frozenset[str]] | None = None
_watching = False


def watch(folder: Path) -> None:
    """List from now on what this process opens.

    Below ``folder`` that is every file and every folder that is listed, elsewhere every
    regular file that is read.  Hidden folders, the interpreter with its packages, the
    system's folders and the temporary ones are left out.
    """
    global _watching  # noqa: PLW0603 - an audit hook lives as long as its process
    if _watching:
        return
    _watching = True
    root = os.path.realpath(folder)
    machinery = tuple(_folders(_machinery()))
    # The interpreter of a container may live in /usr, and the notebook below it.
    ignored = tuple(place for place in machinery if not (root + os.sep).startswith(place))
    ignored_elsewhere = tuple(_folders([tempfile.gettempdir()]))

    def note(path: object, reads: bool, writes: bool) -> None:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        full = os.path.realpath(os.fsdecode(path))
        if (full + os.sep).startswith(ignored):
            return
        name = os.path.relpath(full, root)
        if _is_hidden(name):
            return
        if not (full + os.sep).startswith(root + os.sep):
            if (full + os.sep).startswith(ignored_elsewhere) or not Path(full).is_file():
                return
            name = full
        if reads:
            _read.add(name)
        if writes:
            _written.add(name)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            if isinstance(mode, str):
                note(path, "r" in mode, any(letter in mode for letter in "wax+"))
            elif isinstance(flags, int):
                note(path, flags & _ACCESS != os.O_WRONLY, bool(flags & _WRITING))
            else:
                note(path, True, False)
        elif event in ("os.listdir", "os.scandir"):
            # Every import lists the working directory; what it found is among the modules.
            if "importlib" not in sys._getframe(1).f_code.co_filename:
                note(arguments[0] if arguments[0] is not None else ".", True, False)
        elif event == "sqlite3.connect":
            database = arguments[0]
            note(database, _is_there(database), True)

    sys.addaudithook(hook)


def watch_as_asked() -> None:
    """Watch for the folder that the environment variable KALE_PM_AUDIT names, if it is set."""
    folder = os.environ.get("KALE_PM_AUDIT")
    if folder:
        watch(Path(folder))


def begin() -> None:
    """The step's cells come next: forget what they opened when they ran here before.

    What the prelude opened stays.
    """
    global _of_prelude  # noqa: PLW0603 - one kernel runs one step
    if _of_prelude is None:
        _of_prelude = frozenset(_read), frozenset(_written)
    _read.intersection_update(_of_prelude[0])
    _written.intersection_update(_of_prelude[1])


def read_files() -> tuple[str, ...]:
    """Files and folders that were read: relative to the watched folder, or absolute elsewhere."""
    return tuple(sorted(_read))


def written_files() -> tuple[str, ...]:
    """Files that were opened for writing, named likewise; elsewhere only those also read."""
    return tuple(sorted(n for n in _written if n in _read or not Path(n).is_absolute()))


def local_modules() -> tuple[str, ...]:
    """Source files of the imported modules that no package manager installed."""
    installed = tuple(_folders(_installed()))
    # Hundreds of modules lie in a few folders: to resolve every path, or to make a Path of it,
    # would take longer than all else about storing what a small step gives.
    resolved = cache(os.path.realpath)
    found = set()
    for module in list(sys.modules.values()):
        source = getattr(module, "__file__", None)
        if isinstance(source, str) and source.endswith(".py"):
            folder, name = os.path.split(source)
            is_link = os.path.islink(source)  # noqa: PTH114
            whole = os.path.join(resolved(folder), name)  # noqa: PTH118
            full = os.path.realpath(source) if is_link else whole
            if not full.startswith(installed):
                found.add(full)
    return tuple(sorted(found))


def _installed() -> list[str]:
    """Where modules lie that are not the user's: the library, installed packages, kale_pm."""
    library = [sysconfig.get_path(n) for n in ("stdlib", "platstdlib", "purelib", "platlib")]
    own = str(Path(__file__).resolve().parent.parent)
    return [*library, *site.getsitepackages(), site.getusersitepackages(), own]


def _machinery() -> list[str]:
    """What belongs to the interpreter, the system, Jupyter and kale-pm."""
    prefixes = (sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix)
    named = [os.environ.get(name, "") for name in _NAMED_BY_ENVIRONMENT]
    manifest = os.environ.get("KALE_PM_OUTPUT")
    if manifest:
        named.append(str(Path(manifest).parent))
    return [*prefixes, *_installed(), *_SYSTEM, *(place for place in named if place)]


def _folders(places: Iterable[str]) -> set[str]:
    """Real paths that end with a separator; the root of all is none of them."""
    found = {os.path.realpath(Path(place).expanduser()) for place in places}
    return {place + os.sep for place in found - {os.sep}}


def _is_there(path: object) -> bool:
    return isinstance(path, (str, bytes, os.PathLike)) and Path(os.fsdecode(path)).exists()


def _is_hidden(relative: str) -> bool:
    parts = (part for part in Path(relative).parts if part != "..")
    return any(part.startswith(".") or part == "__pycache__" for part in parts)
