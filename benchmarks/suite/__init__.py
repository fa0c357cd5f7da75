"""What asv runs: ``spin bench``, or ``asv run`` in this folder."""
