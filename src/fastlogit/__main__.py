"""See `python -m fastlogit`."""
