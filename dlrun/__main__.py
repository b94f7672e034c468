"""``python -m dlrun``: the same as the ``dlrun`` command."""

from dlrun.cli.app import main

if __name__ == "__main__":
    main()
