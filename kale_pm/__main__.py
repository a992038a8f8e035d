"""``python -m kale_pm`` is the command line."""

from kale_pm.cli import main

main()
