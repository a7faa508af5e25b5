"""``python -m opensearch_standin --port PORT --file FILE``."""

from opensearch_standin.server import main

main()
