"""`python -m tests.servers.incident OUTDIR`: see the package."""

import sys
from pathlib import Path

from tests.servers.incident.capture import capture

capture(Path(sys.argv[1]))
