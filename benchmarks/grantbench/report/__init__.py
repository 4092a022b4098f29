"""Results as Markdown and as plots."""
