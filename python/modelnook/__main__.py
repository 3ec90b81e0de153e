"""``python -m modelnook`` is the command ``modelnook``."""

from modelnook.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
