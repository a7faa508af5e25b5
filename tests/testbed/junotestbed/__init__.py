"""The testbed: MariaDB, Kafka, XRootD, an FTS3 stand-in and DIRAC, started and supervised on one machine."""
