"""The OpenAPI document held to 500 made-up requests an operation: no 5xx, no other answer.

python benchmarks/schemathesis_http.py [EXAMPLES]
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

if __name__ == "__main__":
    examples = sys.argv[1] if len(sys.argv) > 1 else "500"
    command = [sys.executable, "-m", "pytest", "-q", "tests/api/test_openapi.py"]
    environment = {**os.environ, "HABITUE_SCHEMATHESIS_EXAMPLES": examples}
    print(f"{examples} requests an operation, half of them outside its schema", flush=True)
    raise SystemExit(subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode)
