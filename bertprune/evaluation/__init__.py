"""What pruning costs: the same inputs through the model before and after."""
