"""`python -m pipeline.lab.incident OUTDIR`: see the package."""

import sys
from pathlib import Path

from pipeline.lab.incident.capture import capture

capture(Path(sys.argv[1]))
