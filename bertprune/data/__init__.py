"""The input of a model: tables of texts, their columns and labels, batches; how a text becomes an embedding."""
