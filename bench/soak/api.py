"""schemathesis on a running executor: `python bench/soak/api.py [EXAMPLES]` (500 a route)."""

import subprocess
import sys
import tempfile
from pathlib import Path

from executor_process import running

CHECKS = "not_a_server_error status_code_conformance content_type_conformance unsupported_method "
CHECKS += "response_schema_conformance response_headers_conformance negative_data_rejection "
CHECKS += "missing_required_header"


def main(examples: int) -> int:
    """Exit code of schemathesis."""
    program = Path(sys.executable).with_name("schemathesis")
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder) / "root", "--profile", "bench") as executor,
    ):
        words = [program, "run", f"{executor.url}/openapi.json", "--no-color"]
        words += ["-H", f"Authorization: Bearer {executor.admin_token()}"]
        words += ["--max-examples", str(examples), "--checks", ",".join(CHECKS.split())]
        words += ["--phases", "examples,coverage,fuzzing", "--suppress-health-check", "all"]
        for path in ("/v1/model/promote", "/v1/model/reload"):  # each starts a process
            words += ["--exclude-path", path]
        return subprocess.run(words, check=False).returncode  # noqa: S603  our own argv


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 500))
