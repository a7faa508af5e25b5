"""What the modules of a job do, as plain classes that need no workflow."""
