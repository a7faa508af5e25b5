import sys

from junotestbed.cli import main

sys.exit(main())
