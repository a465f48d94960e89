"""The page: a Gradio app over bertprune's public names, without any pruning logic of its own."""
