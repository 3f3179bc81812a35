"""`python -m annoloop`: the same as the command `annoloop`."""

from annoloop.cli import main

if __name__ == "__main__":
    main()
