"""Moving memories between stores: everything of a memory as JSON lines, and back."""
