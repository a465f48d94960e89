"""Write a run as a folder and load it again: written beside its target, read back, compared, renamed."""
