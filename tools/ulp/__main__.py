"""``python tools/ulp run`` and ``python tools/ulp report``; ``--help`` says the rest."""

import sys
from pathlib import Path

# A directory that is run stands on the path itself, and its modules would be found without their package.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from ulp.command import main  # noqa: E402

if __name__ == "__main__":
    main()
