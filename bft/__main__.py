"""`python -m bft` is `bft`."""

import sys

from bft.cli import main

sys.exit(main())
