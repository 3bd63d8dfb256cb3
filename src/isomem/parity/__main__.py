"""`python -m isomem.parity`."""

import sys

from isomem.parity import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
