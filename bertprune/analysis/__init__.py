"""Look at a model and never touch it: tree, places, snapshots, sparsity, figures."""
