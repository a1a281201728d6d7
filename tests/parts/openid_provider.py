"""An OpenID provider on loopback, as Entra ID is for one tenant: its key set, and tokens that it would sign.

async with OpenIdProvider() as provider:
    provider.authority                        # for http.entra.authority
    provider.token(roles=["Viewer"])          # an access token; keywords replace claims, None removes one
    provider.rotate()                         # another signing key; the old one is gone from the set
    provider.is_available = False             # answers 503
    provider.fetches                          # of the key set, so far
"""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from tests.parts.http_server import Answer, HttpServer, Request

TENANT = "7d1e7f2a-0c1b-4f6e-9a63-2b1f5d8a4c10"
AUDIENCE = "api://scheduler"
CLIENT = "0b8f6f5e-6f0e-4a0f-8f51-d2d9d2b1f111"


@cache
def _private_key(number: int) -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


class OpenIdProvider(HttpServer):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.is_available = True
        self.key_number = 0
        self.now = time.time

    @property
    def authority(self) -> str:
        return self.url

    @property
    def kid(self) -> str:
        return f"key-{self.key_number}"

    @property
    def fetches(self) -> int:
        return len(self.requests)

    def answer(self, request: Request) -> Answer:
        if not self.is_available:
            return Answer(503)
        if request.path != f"/{TENANT}/discovery/v2.0/keys":
            return Answer(404)
        public = jwt.algorithms.RSAAlgorithm.to_jwk(_private_key(self.key_number).public_key(), as_dict=True)
        return Answer.of_json({"keys": [{**public, "kid": self.kid, "use": "sig", "alg": "RS256"}]})

    def rotate(self) -> None:
        self.key_number += 1

    def claims(self, **claims: Any) -> dict[str, Any]:
        """What an access token of a client with app roles contains."""
        now = int(self.now())
        found = {
            "iss": f"{self.authority}/{TENANT}/v2.0",
            "aud": AUDIENCE,
            "tid": TENANT,
            "azp": CLIENT,
            "oid": "3a1f",
            "sub": "3a1f",
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "roles": ["Scheduler.Admin"],
            **claims,
        }
        return {name: value for name, value in found.items() if value is not None}

    def token(self, **claims: Any) -> str:
        return jwt.encode(self.claims(**claims), _private_key(self.key_number), "RS256", headers={"kid": self.kid})

    def id_token(self, **claims: Any) -> str:
        """What a client gets that signs a user in: the same issuer and roles, for the same app."""
        return self.token(azp=None, nonce="678910", preferred_username="ada@example.com", **claims)

    def unsigned_token(self) -> str:
        return jwt.encode(self.claims(), None, "none", headers={"kid": self.kid})

    def token_signed_with_public_key(self) -> str:
        """HS256 with the public key as its secret, which a library that trusts the header would accept."""
        import base64
        import hashlib
        import hmac
        import json

        pem = (
            _private_key(self.key_number)
            .public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        head, body = ({"alg": "HS256", "typ": "JWT", "kid": self.kid}, self.claims())
        signed = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (head, body))
        signature = base64.urlsafe_b64encode(hmac.digest(pem, signed, hashlib.sha256)).rstrip(b"=")
        return (signed + b"." + signature).decode()
