"""Saving and restoring runs; reading and writing public checkpoint formats."""
