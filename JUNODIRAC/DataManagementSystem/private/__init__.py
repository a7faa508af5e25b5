"""What DIRAC loads by name inside of the DataManagement system."""
