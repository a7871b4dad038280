"""`python -m mage_mcp` is `mage-mcp`."""

import sys

from mage_mcp.cli import main

sys.exit(main())
