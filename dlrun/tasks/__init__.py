"""What a task adds to a recipe: defaults, checks and what prediction writes."""
