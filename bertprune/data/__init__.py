"""What goes through a model: tables of texts, their columns and labels, batches."""
