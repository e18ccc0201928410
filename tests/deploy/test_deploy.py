"""The container and compose files do what they say: their commands run, without an engine.

What a container engine would do with paths is done by a folder: every absolute path a file names
lies below it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from habitue.settings import Settings, setting_names

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
INSTRUCTION = re.compile(r"^([A-Z]+)\s+(.*)$", re.DOTALL)


@dataclass
class Stage:
    """One stage of a container file, its instructions in order."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def said(self, word: str) -> list[str]:
        return [text for one, text in self.steps if one == word]


def stages_of(file: Path) -> list[Stage]:
    text = "\n".join(
        line for line in file.read_text("utf-8").splitlines() if not line.startswith("#")
    )
    stages: list[Stage] = []
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if not line.strip():
            continue
        found = INSTRUCTION.match(line)
        assert found, line
        word, rest = found.groups()
        if word == "FROM":
            base, *named = rest.split(" AS ")
            stages.append(Stage(base, named[0] if named else ""))
        else:
            stages[-1].steps.append((word, rest))
    return stages


STAGES = stages_of(DEPLOY / "Dockerfile")
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))


def test_the_image_is_slim_and_runs_as_nobody_in_particular() -> None:
    assert all("-slim" in stage.base for stage in STAGES)
    last = STAGES[-1]
    (user,) = last.said("USER")
    assert all(int(part) > 0 for part in user.split(":"))
    words = [word for word, _ in last.steps]
    after = last.steps[words.index("USER") :]
    assert not any("apt-get" in text or "install" in text for _, text in after)
    assert last.said("HEALTHCHECK")
    assert json.loads(last.said("ENTRYPOINT")[0]) == ["habitue"]
    assert json.loads(last.said("CMD")[0]) == ["serve"]


def test_only_what_is_installed_goes_to_the_engine() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").split()
    assert ignored[0] == "*"
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    copied = {part for text in STAGES[0].said("COPY") for part in text.split()[:-1]}
    assert copied == let_in
    assert all((ROOT / name).exists() for name in copied)


def environment_of(texts: list[str], environment: Mapping[str, str]) -> dict[str, str]:
    made = dict(environment)
    for text in texts:
        for pair in shlex.split(text):
            name, _, value = pair.partition("=")
            made[name] = value.replace("$PATH", environment.get("PATH", ""))
    return made


class Prefix:
    """A folder that stands for the file system of a container."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.workdir = root
        self.environment = {
            "HOME": str(root),
            "PATH": os.environ["PATH"],
            "PIP_CACHE_DIR": os.environ.get("PIP_CACHE_DIR", str(Path.home() / ".cache" / "pip")),
        } | {
            k: v
            for k, v in os.environ.items()
            if k.startswith(("PIP_", "HTTP", "SSL_", "no_proxy"))
        }

    def under(self, text: str) -> str:
        """The text with the container's own paths below the folder."""
        return re.sub(r"(?<![\w./])/(?=(opt|build|var)/?)", f"{self.root}/", text)

    def do(self, word: str, text: str) -> None:
        if word == "WORKDIR":
            self.workdir = Path(self.under(text))
            self.workdir.mkdir(parents=True, exist_ok=True)
        elif word == "ENV":
            self.environment = environment_of([self.under(text)], self.environment)
        elif word == "COPY" and "--from" not in text:
            *sources, target = text.split()
            self.copy(sources, self.workdir / target)
        elif word == "RUN":
            self.run(re.sub(r"--mount=\S+\s*", "", text))

    def copy(self, sources: list[str], target: Path) -> None:
        for name in sources:
            source = ROOT / name
            if source.is_dir():
                leave = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, target, dirs_exist_ok=True, ignore=leave)
            else:
                shutil.copy(source, target / source.name)

    def run(self, command: str) -> None:
        if "apt-get" in command:
            check_packages(command)
            return
        command = self.under(command)
        command = re.sub(r"^python (?=-m venv)", f"{sys.executable} ", command)
        if os.geteuid() != 0:
            command = re.sub(r" -[og] \d+", "", command)
        done = subprocess.run(
            ["/bin/sh", "-ec", command],
            cwd=self.workdir,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-4000:])


def check_packages(command: str) -> None:
    """Where this is a Debian: the packages it would install exist."""
    names = re.findall(r"\binstall ([^&]+)", command)[0].split()
    packages = [name for name in names if not name.startswith("-")]
    if shutil.which("apt-cache"):
        for name in packages:
            done = subprocess.run(
                ["apt-cache", "policy", name], capture_output=True, text=True, check=True
            )
            assert f"{name}:" in done.stdout, name


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def serving(
    command: list[str], environment: Mapping[str, str], folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A server, its workers too, ended at the latest when the test is; its errors in a file."""
    with (folder / "errors.log").open("wb") as errors:
        server = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
        try:
            yield server
        finally:
            with suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def until_healthy(
    check: list[str], environment: Mapping[str, str], server: subprocess.Popen[bytes]
) -> None:
    """Run the health check as an engine does, until it succeeds."""
    end = time.monotonic() + 120
    while True:
        assert server.poll() is None, "the server ended"
        done = subprocess.run(check, env=dict(environment), capture_output=True, check=False)
        if done.returncode == 0:
            return
        assert time.monotonic() < end, done.stderr
        time.sleep(0.5)


def health_check(port: int) -> list[str]:
    text = STAGES[-1].said("HEALTHCHECK")[0]
    check: list[str] = json.loads(text[text.index("CMD") + 3 :])
    return [part.replace(":8000", f":{port}") for part in check]


@pytest.fixture
def prefix(tmp_path: Path) -> Iterator[Prefix]:
    """An empty one; a gigabyte goes with it afterwards."""
    yield Prefix(tmp_path)
    shutil.rmtree(tmp_path)


@pytest.mark.slow
def test_the_container_file_builds_a_server_that_answers_and_ends(
    prefix: Prefix, tmp_path: Path
) -> None:
    for stage in STAGES:
        for word, text in stage.steps:
            prefix.do(word, text)
    port = _free_port()
    environment = prefix.environment | {
        "HABITUE_SERVER__PORT": str(port), "PYTHONPATH": "",
    }  # fmt: skip
    binary = str(tmp_path / "opt" / "habitue" / "bin" / "habitue")
    made = subprocess.run(
        [binary, "keys", "create", "backend"],
        env=environment, cwd=prefix.workdir, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert made.stdout.startswith("hb_server_")
    assert (tmp_path / "var" / "lib" / "habitue" / "keys.json").exists()
    with serving([binary, "serve"], environment, prefix.workdir) as server:
        until_healthy(health_check(port), environment, server)
        server.send_signal(signal.SIGTERM)
        assert server.wait(10) == 0


def service(name: str) -> dict[str, Any]:
    found: dict[str, Any] = COMPOSE["services"][name]
    return found


def test_every_variable_of_the_files_is_a_setting() -> None:
    right = {"HABITUE_" + name.replace(".", "__").upper() for name in setting_names()}
    said = environment_of(STAGES[-1].said("ENV"), {})
    for name in ("habitue", "train"):
        said |= service(name)["environment"]
    ours = {name for name in said if name.startswith("HABITUE_")}
    assert ours
    assert ours <= right


def test_services_wait_for_those_they_need_and_ports_fit() -> None:
    for name in ("habitue", "train"):
        for needed in service(name)["depends_on"]:
            assert service(needed)["healthcheck"]["test"]
    assert service("habitue")["ports"] == ["127.0.0.1:8000:8000"]
    assert STAGES[-1].said("EXPOSE") == [str(Settings().server.port)]
    grace = int(service("habitue")["stop_grace_period"].removesuffix("s"))
    assert Settings().server.drain_seconds + 3 < grace
    (volume,) = STAGES[-1].said("VOLUME")
    assert service("habitue")["volumes"] == [f"habitue:{volume}"]
    assert set(COMPOSE["volumes"]) == {"habitue", "postgres"}


def environment_for(name: str, folder: Path, postgres: str, redis: str) -> dict[str, str]:
    """What the engine gives a service, with the databases of this machine for those of the file."""
    image = environment_of(STAGES[-1].said("ENV"), {"PATH": os.environ["PATH"]})
    said = {k: v for k, v in image.items() if k.startswith("HABITUE_")}
    said |= service(name)["environment"]
    address = said["HABITUE_STORE__ADDRESS"]
    assert re.fullmatch(
        r"postgresql://habitue:\$\{POSTGRES_PASSWORD\}@postgres:5432/habitue", address
    )
    assert said["HABITUE_LIVE__ADDRESS"] == "redis://redis:6379/0"
    said |= {"HABITUE_STORE__ADDRESS": postgres, "HABITUE_LIVE__ADDRESS": redis}
    for key in ("HABITUE_SERVER__KEYS_FILE", "HABITUE_SNAPSHOTS__PATH"):
        said[key] = said[key].replace("/var/lib/habitue", str(folder))
    scripts = str(Path(sys.executable).parent)
    rest = {k: v for k, v in os.environ.items() if not k.startswith("HABITUE_")}
    return rest | said | {"PATH": f"{scripts}:{os.environ['PATH']}"}


@pytest.mark.slow
def test_the_commands_of_the_compose_file_run_in_order(
    tmp_path: Path, fresh_postgres_dsn: str, redis_url: str
) -> None:
    port = _free_port()
    environment = environment_for("habitue", tmp_path, fresh_postgres_dsn, redis_url)
    environment |= {"HABITUE_SERVER__PORT": str(port)}
    entry: list[str] = json.loads(STAGES[-1].said("ENTRYPOINT")[0])
    serve = [*entry, *service("habitue")["command"]]
    refused = subprocess.run(
        serve, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert "habitue keys create" in refused.stderr
    key = ""
    for line in told_commands():
        words = shlex.split(line.partition(" run --rm ")[2])
        if words and words[0] == "habitue":
            done = subprocess.run(
                [*entry, *words[1:]], env=environment, cwd=tmp_path,
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            key = done.stdout.strip()
    assert key.startswith("hb_server_")
    with serving(serve, environment, tmp_path) as server:
        until_healthy(health_check(port), environment, server)
        told = ask(port, key, "/v1/events", orders())
        assert told["accepted"] == 1200
        until_told(port, key)
        train = environment_for("train", tmp_path, fresh_postgres_dsn, redis_url)
        done = subprocess.run(
            [*entry, *service("train")["command"]],
            env=train | SMALL, cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        server.send_signal(signal.SIGTERM)
        assert server.wait(10) == 0


SMALL = {
    "HABITUE_TRAINING__WINDOWS": "2",
    "HABITUE_TRAINING__LEAST_ANSWERED": "10",
    "HABITUE_TRAINING__RANKER__ROUNDS": "5",
    "HABITUE_TRAINING__RANKER__MIN_LEAF_ROWS": "5",
}


def orders() -> dict[str, Any]:
    now_ms = int(time.time() * 1000)
    return {
        "actions": [
            {
                "kind": "purchase", "shopper": f"s-{n % 40}", "item": f"item-{n * n % 29 + n % 60}",
                "order_id": f"o-{n}", "at": now_ms - (1200 - n) * 4_000_000,
            }
            for n in range(1200)
        ]
    }  # fmt: skip


def ask(port: int, key: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        json.dumps(body).encode(),
        {"content-type": "application/json", "x-api-key": key},
    )
    answer: dict[str, Any] = json.load(urllib.request.urlopen(request, timeout=30))
    return answer


def until_told(port: int, key: str, seconds: float = 30) -> None:
    """Until the other worker, too, makes slates of what one was told."""
    end = time.monotonic() + seconds
    asked = {"surface": "home"}
    while not all(ask(port, key, "/v1/recommend", asked)["items"] for _ in range(4)):
        assert time.monotonic() < end
        time.sleep(0.2)


def told_commands() -> list[str]:
    """The commands that the head of the compose file tells to run."""
    text = (DEPLOY / "compose.yaml").read_text("utf-8")
    return [line[4:] for line in text.splitlines() if line.startswith("#   docker compose")]


def test_the_guide_tells_the_same_commands() -> None:
    guide = (ROOT / "docs" / "guides" / "running.md").read_text("utf-8")
    told = told_commands()
    assert len(told) == 4
    assert [line for line in told if line not in guide] == []
