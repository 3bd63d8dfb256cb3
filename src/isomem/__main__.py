"""`python -m isomem` is `isomem`."""

import sys

from isomem.cli import main

sys.exit(main())
