"""What ``dirac-juno-chain`` can do, a module for each group of verbs.

Each module has a dictionary ``VERBS``: the verb -> a function that takes the :class:`CommandLine` and returns the exit status.
"""
