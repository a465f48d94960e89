"""The script that made the demo checkpoints, in small parts."""
