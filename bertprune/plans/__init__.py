"""What each part of a model bears, and recipes from budgets."""
