"""Transitions in and out of episode files, and the contract that maps messages to vectors."""
