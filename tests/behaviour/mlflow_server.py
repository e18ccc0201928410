"""A server that speaks as much of MLflow's REST interface as a run of curves asks for.

MLflow's own needs Flask and a hundred megabytes more. What it answers here was written down from
that one (3.17.2); https://mlflow.org/docs/latest/api_reference/rest-api.html.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

__all__ = ["Served", "mlflow_server"]

_ROOT = "/api/2.0/mlflow/"


@dataclass
class Served:
    """What the server was told."""

    url: str = ""
    slow_seconds: float = 0.0  # before each answer
    down: bool = False  # every call is answered by 500
    asked: list[str] = field(default_factory=list)
    experiments: list[str] = field(default_factory=list)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)  # by id

    def answer(self, call: str, said: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """The status and body of one call."""
        match call:
            case "experiments/get-by-name":
                name = said["experiment_name"]
                if name not in self.experiments:
                    return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": name}
                return 200, {"experiment": {"experiment_id": str(self.experiments.index(name))}}
            case "experiments/create":
                self.experiments.append(said["name"])
                return 200, {"experiment_id": str(len(self.experiments) - 1)}
            case "runs/search":
                name = said["filter"].split("'")[1]
                found = [run for run in self.runs.values() if run["info"]["run_name"] == name]
                return 200, {"runs": [{"info": run["info"], "data": run} for run in found]}
            case "runs/create":
                info = {
                    "run_id": f"id{len(self.runs)}",
                    "run_name": said["run_name"],
                    "experiment_id": said["experiment_id"],
                    "status": "RUNNING",
                }
                self.runs[info["run_id"]] = {"info": info, "params": [], "metrics": []}
                return 200, {"run": {"info": info}}
            case "runs/get":
                return 200, {"run": {"info": self.runs[said["run_id"]]["info"]}}
            case "runs/update":
                info = self.runs[said["run_id"]]["info"]
                info |= {k: said[k] for k in ("status", "end_time") if k in said}
                return 200, {"run_info": info}
            case "runs/log-batch":
                for kind in ("params", "metrics"):
                    self.runs[said["run_id"]][kind] += said.get(kind, [])
                return 200, {}
        return 404, {"error_code": "ENDPOINT_NOT_FOUND", "message": call}


@contextmanager
def mlflow_server(port: int = 0) -> Iterator[Served]:
    """It runs on this machine; what it was told is read from what is given."""
    served = Served()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            self._answer({name: values[0] for name, values in asked.items()})

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, said: dict[str, Any]) -> None:
            call = urlsplit(self.path).path.removeprefix(_ROOT)
            served.asked.append(call)
            time.sleep(served.slow_seconds)
            status, body = (500, {}) if served.down else served.answer(call, said)
            sent = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
