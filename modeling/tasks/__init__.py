"""What is learned: a family of tasks a file or folder."""
