"""What ``dirac-juno-block`` can do, a module for each group of verbs.

Each module has a dictionary ``VERBS``: the verb -> a function that takes the :class:`CommandLine` and returns the exit status.
"""
