"""What is asked about a scene, and what the right answer is."""
