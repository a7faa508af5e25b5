"""The testbed: MariaDB, Kafka, XRootD, an FTS3 stand-in and DIRAC on one machine, started and supervised for tests and demonstrations."""
