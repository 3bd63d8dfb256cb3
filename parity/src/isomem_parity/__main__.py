"""`python -m isomem_parity`."""

import sys

from isomem_parity import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
