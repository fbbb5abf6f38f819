"""What people said about the same images."""
