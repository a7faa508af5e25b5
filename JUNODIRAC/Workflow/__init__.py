"""What runs inside the jobs of chains."""
