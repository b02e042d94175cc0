"""`python -m extensive.cli`, the same as `extensive`."""

import sys

from extensive.cli import main

if __name__ == "__main__":
    sys.exit(main())
