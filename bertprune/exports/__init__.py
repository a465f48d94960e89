"""Hand a run over as a folder, and take a folder back: written beside its target, reloaded, compared, renamed."""
