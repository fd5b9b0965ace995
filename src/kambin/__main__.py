"""``python -m kambin``: the command line."""

from kambin.cli import main

if __name__ == "__main__":
    main()
