"""Values to text and JSON; nothing here prints."""
