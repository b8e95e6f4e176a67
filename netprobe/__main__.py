"""`python -m netprobe` is `netprobe`."""

from .cli import main

if __name__ == "__main__":
    main()
