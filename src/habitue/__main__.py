"""``python -m habitue`` is ``habitue``."""

from habitue.cli import main

if __name__ == "__main__":
    main()
