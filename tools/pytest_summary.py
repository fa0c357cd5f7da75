"""One line, as pytest prints it, over the JUnit reports of several runs. Exits with 1 on a failure."""

import sys
import xml.etree.ElementTree as ElementTree


def main(reports: list[str]) -> int:
    suites = [suite for report in reports for suite in ElementTree.parse(report).iter("testsuite")]
    failed, errors, skipped, tests = (
        sum(int(suite.get(name, 0)) for suite in suites)
        for name in ("failures", "errors", "skipped", "tests")
    )
    seconds = sum(float(suite.get("time", 0)) for suite in suites)
    counts = {
        "failed": failed,
        "passed": tests - failed - errors - skipped,
        "skipped": skipped,
        "errors": errors,
    }
    line = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "no tests ran"
    print(f" {line} in {seconds:.2f}s ".center(80, "="))
    return int(bool(failed or errors or not counts["passed"]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
