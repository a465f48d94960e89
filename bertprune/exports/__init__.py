"""Write a run as a folder and load it again: written next to its target, read back, compared, renamed."""
