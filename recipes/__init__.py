"""One readable script a task."""
