"""FTS3 stand-in: test equipment that answers the part of the FTS3 REST API which DIRAC uses, and moves real bytes.

This is **not** FTS3. It exists because FTS3 cannot be installed from packages on the testbed's platform. It takes jobs over
HTTPS from the real ``fts3`` client, keeps them in SQLite, and makes each copy as a third-party copy with gfal2 under the
delegated proxy. States, reasons and retry rules follow FTS 3.12. Tests can ask for failures, slowness and wrong results
(:mod:`fts3_standin.rules`).
With the endpoint of a real FTS3 in the configuration nothing else has to change.

===================  ==================================================================================================
module               what it does
===================  ==================================================================================================
``states``           file and job states, retry decisions: pure functions
``submission``       checks a submitted job and turns it into rows
``database``         the SQLite file; credentials
``store``            jobs, files and attempts in it
``rules``            fault injection: which attempts or submissions are to go wrong, and how
``credentials``      who a caller is; the request and the storing of a delegated proxy
``copier``           one copy, in a process of its own
``scheduler``        picks files, starts, watches and kills the copies
``api``              what each request of the REST interface does
``rest``             HTTPS and the paths
``client``           :class:`~fts3_standin.client.StandinRules`, for tests
===================  ==================================================================================================

Every copy is one process, as with ``fts_url_copy`` of the real server, forked from a small helper that has loaded gfal2 but never
used it. Threads would not do: a copy that hangs inside the XRootD client cannot be interrupted from Python, so a cancel or a
timeout could only wait. Long-lived workers would not do either: the XRootD client keeps its connections, so a worker would go on
speaking as the user whose copy it made first. A process costs about 10 ms where a copy takes 2.5 s at least.
"""

NAME = "FTS3 stand-in (test equipment, not FTS3)"
API_VERSION = {"major": 3, "minor": 12, "patch": 2}
