"""Benchmarks on the testbed: each is a module with ``addArguments`` and ``run``, registered by name in :mod:`bench.cli`."""
