"""What a model is: families, tree, snapshots and their differences, targets, pruning hooks."""
