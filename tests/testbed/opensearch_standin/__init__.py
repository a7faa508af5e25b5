"""A stand-in for OpenSearch: the few requests with which DIRAC keeps the parameters of jobs. Test equipment."""
