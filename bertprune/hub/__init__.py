"""The Hugging Face Hub, where an export goes if you push it."""
