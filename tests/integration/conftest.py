"""Fixtures of the tests on a real database."""

from ledgertools import ledger, typeName

__all__ = ["ledger", "typeName"]
