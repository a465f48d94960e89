"""What pruning left: counts, sparsity, two runs side by side, figures."""
