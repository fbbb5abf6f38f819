"""What is in the world, what happens in it, and what is seen of it."""
