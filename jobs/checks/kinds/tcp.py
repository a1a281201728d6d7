"""The check of a TCP target: a connection, and a dialogue on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from jobs.checks.binding.recipients import deliveries_of_dialogue
from jobs.checks.binding.rules import UNRESTRICTED, Bindings
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.errors import ExpectedDataMissing
from jobs.checks.kinds.tcp_dialogue import PatternBudget, TcpDialogue
from jobs.checks.messages.error_mapping import classify_error
from jobs.checks.net.network import Network
from jobs.checks.net.tls_contexts import TlsContexts
from jobs.checks.net.tls_facts import session_facts, shown_certificates
from jobs.checks.peer import Peer
from jobs.checks.port import AttemptContext, Check
from jobs.checks.preloading import preload_idna, preload_tls
from jobs.checks.secret_registration import register_value
from jobs.judging import InlineJudge, Judge
from jobs.model_base import SecretRef
from jobs.ports import Secrets
from jobs.redaction import Redactor
from jobs.runs import ErrorClass, Observation
from jobs.targets.http import TlsOptions
from jobs.targets.tcp import ReceiveLine, SendLine, StartTlsLine, TcpTarget


def build(dependencies: CheckDependencies, checks: Mapping[str, Check]) -> TcpCheck:
    """Build the check. Called by jobs.checks."""
    return TcpCheck(
        dependencies.secrets,
        dependencies.redactor,
        dependencies.network,
        dependencies.contexts,
        dependencies.bindings,
        dependencies.judges,
    )


class TcpCheck:
    """Observes TCP targets, for one event loop. The owner of the network and the contexts closes them."""

    def __init__(
        self,
        secrets: Secrets,
        redactor: Redactor,
        network: Network,
        contexts: TlsContexts,
        bindings: Bindings = UNRESTRICTED,
        judges: Judge | None = None,
    ) -> None:
        """`judges`: search received data for patterns; without them the event loop does."""
        self._secrets = secrets
        self._redactor = redactor
        self._network = network
        self._contexts = contexts
        self._bindings = bindings
        self._judges = judges or InlineJudge()

    async def observe(self, target: TcpTarget, call: AttemptContext) -> Observation:
        """Connect and run the dialogue; the received data is the observation's body."""
        peer, clock = Peer(target.host, target.port, target.server_name or ""), call.clock
        received = bytearray()
        try:
            for delivery in deliveries_of_dialogue(target):
                self._bindings.check(delivery.credential, delivery.recipients, call.tags)
            texts = await self._texts(target, call)
            tls = await self._contexts.get_context(target.tls or TlsOptions()) if _has_tls(target) else None
            at_once = tls if target.starts_with_tls else None
            connection = await self._network.connect(
                target.host, target.port, clock, at_once, server_name=peer.tls_name, ip_version=target.ip_version
            )
        except Exception as error:
            return self._failed(error, peer, call)
        patterns = PatternBudget(self._judges, call.run_id.rpartition("@")[0], self._redactor)
        dialogue = TcpDialogue(connection, target.read_limit, received, self._redactor, clock, peer, patterns)
        try:
            for line in target.dialogue:
                match line:
                    case SendLine(send=text):
                        clock.enter("first_byte")
                        await connection.write((texts[text.secret] if isinstance(text, SecretRef) else text).encode())
                    case ReceiveLine(receive=pattern):
                        await dialogue.receive(pattern)
                    case StartTlsLine() if tls is not None:
                        clock.enter("tls")
                        await connection.start_tls(tls, peer.tls_name.rstrip("."))
            session = connection.tls
            facts = {"connected": True, "remote_address": connection.remote_address, **session_facts(session)}
            certificates = shown_certificates(session)
        except Exception as error:
            connection.abort()
            return self._failed(error, peer, call)
        except BaseException:
            connection.abort()
            raise
        finally:
            dialogue.clear_deadline_texts()  # the clock must not refer to the connection
        connection.close()
        phases = clock.stop()
        phases = replace(phases, total_ms=round(max(phases.total_ms - patterns.took_s * 1000, 0.0), 3))
        return Observation(phases, body=bytes(received[: target.read_limit]), facts=facts, certificates=certificates)

    def prepare(self, target: TcpTarget) -> None:
        preload_idna()
        if _has_tls(target):
            preload_tls()
            self._contexts.prepare(target.tls or TlsOptions())

    async def aclose(self) -> None:
        """Nothing stays open between two observations."""

    async def _texts(self, target: TcpTarget, call: AttemptContext) -> dict[str, str]:
        """Return the secrets that are sent. Raises SecretUnavailable."""
        sent = [line.send for line in target.dialogue if isinstance(line, SendLine)]
        names = [text.secret for text in sent if isinstance(text, SecretRef)]
        if names:
            call.clock.enter("secrets")
        texts = {name: await self._secrets.get_secret(name) for name in names}
        for text in texts.values():
            await register_value(text, call, self._redactor)
        return texts

    def _failed(self, error: Exception, peer: Peer, call: AttemptContext) -> Observation:
        if isinstance(error, ExpectedDataMissing):
            explained: tuple[ErrorClass, str] | None = (ErrorClass.EXPECTATION_FAILED, f"{peer} {error}.")
        else:
            explained = classify_error(error, call.clock.current, peer)
        if explained is None:
            raise error
        error_class, message = explained
        return Observation(call.clock.stop(), error=error_class, message=self._redactor.redact(message))


def _has_tls(target: TcpTarget) -> bool:
    return target.tls is not None or _starts_tls(target)


def _starts_tls(target: TcpTarget) -> bool:
    return any(isinstance(line, StartTlsLine) for line in target.dialogue)
