"""Objects of libraries: code that makes one, and code that uses it as what it was.

Where a library keeps its data in buffers, a large one is mapped from the file, not copied.
"""

from __future__ import annotations

from typing import NamedTuple

PRELUDE = """
    import os

    def is_mapped(address):
        if not os.path.exists("/proc/self/maps"):
            return True  # this system does not tell
        with open("/proc/self/maps") as lines:
            for line in lines:
                low, _, high = line.split()[0].partition("-")
                if int(low, 16) <= address < int(high, 16):
                    return line.rstrip().endswith(".pack")
        return False

    def address(array):
        return array.__array_interface__["data"][0]
"""


class Case(NamedTuple):
    make: str
    use: str
    needs: str  # libraries


def cases(needs: str, **pairs: tuple[str, str]) -> dict[str, Case]:
    library = needs.split(maxsplit=1)[0].partition(".")[0]
    return {
        f"{library}: {name.replace('_', ' ')}": Case(make, use, needs)
        for name, (make, use) in pairs.items()
    }
