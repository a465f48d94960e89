"""What the page does, as plain functions: values in, values out, nothing of Gradio's."""
