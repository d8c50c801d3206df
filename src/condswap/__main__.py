"""`python -m condswap`."""

import sys

from condswap.cli import main

sys.exit(main())
