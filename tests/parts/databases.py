"""PostgreSQL, MariaDB and Valkey of Debian on loopback, with TLS, for tests of database checks.

    with running_postgres(folder) as server:
        server.run("CREATE TABLE ...")

Each has a user `monitor` with the password PASSWORD, which can read. Calls `missing` without the program.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.parts import missing
from tests.parts.proc import free_port
from tests.parts.tls import authority, ca_file

PASSWORD = "canary-9f3b-database"
_START_SECONDS = 60.0


@dataclass(frozen=True)
class DatabaseServer:
    """`run`: executes a statement as the administrator, and returns its output."""

    port: int
    process: subprocess.Popen[bytes]
    run: Callable[[str], str]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)


def _find(program: str) -> str:
    folders = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/sbin"), Path("/usr/bin")]
    found = next((str(folder / program) for folder in folders if (folder / program).exists()), None)
    found = found or shutil.which(program)
    if found is None:
        missing(f"there is no {program}; `./dev test` installs it")
    return found


def _user_of(name: str) -> str | None:
    """Return the account that a server runs as: these servers refuse to run as root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(name).pw_name
    except KeyError:
        missing(f"there is no user {name}")


def _own(folder: Path, user: str | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if user is not None:
        account = pwd.getpwnam(user)
        for path in (folder, *folder.rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid)
        for parent in folder.parents:
            if parent != Path("/tmp") and parent.is_relative_to("/tmp"):
                parent.chmod(0o755)


def _write_certificate(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "server.pem", folder / "server.key"
    issued = authority().issue_cert("localhost", "127.0.0.1")
    certificate.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    key.chmod(0o600)
    return certificate, key


@contextmanager
def _running(
    make_command: Callable[[int], Sequence[str]], folder: Path, user: str | None
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start a server, on another port if a program has taken the first one meanwhile."""
    log = folder.parent / f"{folder.name}.log"
    for _ in range(3):
        port = free_port()
        with log.open("wb") as output:
            process = subprocess.Popen(make_command(port), stdout=output, stderr=output, user=user, cwd=folder)
        try:
            if _accepts(port, process):
                yield process, port
                return
        finally:
            process.kill()
            process.wait(30)
    raise RuntimeError(f"{process.args!r} did not start: {log.read_text(errors='replace')[-2000:]}")


def _accepts(port: int, process: subprocess.Popen[bytes]) -> bool:
    until = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        time.sleep(0.02)
    return False


def _call(command: Sequence[str], text: str = "", user: str | None = None) -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, user=user, cwd="/", timeout=60)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stdout}{done.stderr}")
    return done.stdout


@contextmanager
def running_postgres(folder: Path, *, replica_of: DatabaseServer | None = None) -> Iterator[DatabaseServer]:
    """Start a primary, or a replica of one. At most 8 connections."""
    user, data = _user_of("postgres"), folder / "data"
    _own(folder, user)
    certificate, key = _write_certificate(folder)
    _own(folder, user)
    if replica_of is None:
        _call([_find("initdb"), "-D", str(data), "-U", "admin", "--auth=trust", "-N", "-E", "UTF8"], user=user)
        access = "host all monitor 127.0.0.1/32 scram-sha-256\nhost all admin 127.0.0.1/32 trust\n"
        (data / "pg_hba.conf").write_text(access + "host replication admin 127.0.0.1/32 trust\n")
    else:
        source = f"host=127.0.0.1 port={replica_of.port} user=admin"
        _call([_find("pg_basebackup"), "-D", str(data), "-R", "-c", "fast", "-d", source], user=user)
    options = {
        "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off",
        "max_connections": 8, "superuser_reserved_connections": 2, "ssl": "on",
        "ssl_cert_file": certificate, "ssl_key_file": key,
    }  # fmt: skip
    settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    command = [_find("postgres"), "-D", str(data), *settings]
    with _running(lambda port: [*command, "-c", f"port={port}"], folder, user) as (process, port):
        client = [_find("psql"), "-h", "127.0.0.1", "-p", str(port), "-U", "admin", "-d", "postgres", "-qAt", "-f", "-"]
        server = DatabaseServer(port, process, lambda text: _call(client, text))
        _wait_for(server, "SELECT 1")
        if replica_of is None:
            server.run(f"CREATE ROLE monitor LOGIN PASSWORD '{PASSWORD}'")
        yield server


@contextmanager
def running_mariadb(folder: Path) -> Iterator[DatabaseServer]:
    """Start a server with at most 6 connections."""
    user, data = _user_of("mysql"), folder / "data"
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key = _write_certificate(folder)
    _own(folder, user)
    options = ["--auth-root-authentication-method=normal", "--skip-test-db", *([f"--user={user}"] if user else [])]
    _call([_find("mariadb-install-db"), f"--datadir={data}", *options])
    begin = f"CREATE USER monitor@'%' IDENTIFIED BY '{PASSWORD}'; GRANT SELECT, SLAVE MONITOR ON *.* TO monitor@'%';"
    _own(folder, user)
    sock = folder / "db.sock"
    command = [
        _find("mariadbd"), "--no-defaults", f"--datadir={data}", "--bind-address=127.0.0.1",
        f"--socket={sock}", "--max-connections=10", "--innodb-flush-log-at-trx-commit=0",
        "--innodb-buffer-pool-size=16M", f"--ssl-cert={certificate}", f"--ssl-key={key}",
        f"--pid-file={folder / 'pid'}",
    ]  # fmt: skip
    client = [_find("mariadb"), "--no-defaults", f"--socket={sock}", "--skip-ssl", "-u", "root", "-N"]
    with _running(lambda port: [*command, f"--port={port}"], folder, user) as (process, port):
        server = DatabaseServer(port, process, lambda text: _call(client, text))
        _wait_for(server, "SELECT 1")
        server.run(begin + "CREATE DATABASE shop;")
        yield server


@contextmanager
def running_valkey(
    folder: Path, *, replica_of: DatabaseServer | None = None, tls: bool = True
) -> Iterator[DatabaseServer]:
    """Start a primary, or a replica of one, with at most 5 clients. `monitor` may read."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key = _write_certificate(folder)
    shared = ["--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--tls-ca-cert-file", ca_file()]
    command = [
        _find("valkey-server"), "--bind", "127.0.0.1", "--dir", str(folder),
        "--save", "", "--maxclients", "5", "--tls-auth-clients", "no", *(shared if tls else ()),
        "--user", "monitor", "on", f">{PASSWORD}", "~*", "+@read", "+info", "+ping", "+select", "+client",
    ]  # fmt: skip
    if replica_of is not None:
        command += ["--tls-replication", "yes", "--replicaof", "127.0.0.1", str(replica_of.port)]
    secure = ["--tls", "--cacert", ca_file()] if tls else []
    ports = ("--port", "0", "--tls-port") if tls else ("--tls-port", "0", "--port")
    with _running(lambda port: [*command, *ports, str(port)], folder, None) as (process, port):
        client = [_find("valkey-cli"), *secure, "-h", "localhost", "-p", str(port)]
        server = DatabaseServer(port, process, lambda text: _call([*client, *text.split()]))
        _wait_for(server, "PING")
        yield server


def _wait_for(server: DatabaseServer, statement: str) -> None:
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            server.run(statement)
            return
        except RuntimeError:
            if time.monotonic() > until or server.process.poll() is not None:
                raise
            time.sleep(0.05)
