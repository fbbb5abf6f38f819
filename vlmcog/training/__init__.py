"""Fine-tuning: input, optimizer, sharding, step and loop."""
