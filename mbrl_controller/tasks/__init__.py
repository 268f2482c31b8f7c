"""What is asked of a hand: one task a file, found by name in `catalog`."""
