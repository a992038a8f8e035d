"""``python -m kale_pm`` is the command line; with a script of the SDK it runs that.

A word of the command line never ends in ``.py``: so a script is told by its name.
"""

import sys
from pathlib import Path


def main() -> None:
    if len(sys.argv) > 1 and sys.argv[1].endswith(".py") and Path(sys.argv[1]).is_file():
        from kale_pm.sdk.script.command_line import run_file

        run_file(Path(sys.argv[1]), sys.argv[2:])
    else:
        from kale_pm import cli

        cli.main()


if __name__ == "__main__":
    main()
