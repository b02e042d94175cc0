"""Before a run: what it is expected to cost, printed at a dry-run."""

import re

from extensive.config import plan
from snakemake.logging import logger

# Snakemake says only after parsing that nothing will be run.
if any(re.fullmatch("-[a-zA-Z]*n[a-zA-Z]*|--dry-?run", argument) for argument in sys.argv[1:]):
    logger.info(plan.summary(config))
