"""Run a recipe on a checkpoint, preview it, or write it as a script."""
