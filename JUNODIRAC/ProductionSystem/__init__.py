"""Chains: programs, merging and copies that run on blocks by themselves, grouped as productions of DIRAC."""
