"""Pictures from which the shipped networks for roads learn."""
