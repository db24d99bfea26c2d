"""Runs the package's tests, or with `production` those for a build without pixels; ends with a line that xtask counts."""

import faulthandler
import pathlib
import sys
import unittest

# Only a hang reaches it; it then shows where.
faulthandler.dump_traceback_later(600, exit=True)

here = pathlib.Path(__file__).parent
pattern = "production_*.py" if "production" in sys.argv[1:] else "test_*.py"
suite = unittest.defaultTestLoader.discover(str(here), pattern)
result = unittest.TextTestRunner(verbosity=2).run(suite)
failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
skipped = len(result.skipped)
passed = result.testsRun - failed - skipped
for test, reason in result.skipped:
    print(f"test {test} ... ignored, {reason}")
verdict = "ok" if failed == 0 and passed > 0 else "FAILED"
print(f"test result: {verdict}. {passed} passed; {failed} failed; {skipped} ignored; 0 measured; 0 filtered out")
sys.exit(verdict != "ok")
