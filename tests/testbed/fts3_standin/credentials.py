"""Who a caller is, and the delegation of a proxy: the server makes a key and a request, the client signs it with its proxy."""

import hashlib
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID, ObjectIdentifier

_PROXY_CERT_INFO = ObjectIdentifier("1.3.6.1.5.5.7.1.14")
_SHORT_NAMES = {
    NameOID.COUNTRY_NAME: "C",
    NameOID.STATE_OR_PROVINCE_NAME: "ST",
    NameOID.LOCALITY_NAME: "L",
    NameOID.ORGANIZATION_NAME: "O",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.COMMON_NAME: "CN",
    NameOID.DOMAIN_COMPONENT: "DC",
    NameOID.EMAIL_ADDRESS: "emailAddress",
    NameOID.USER_ID: "UID",
}


class BadProxy(Exception):
    """The certificate chain that a client delegated is not usable; the message says why."""


def slash_name(name: x509.Name) -> str:
    """`/C=CN/O=JUNO/CN=somebody`"""
    return "".join(f"/{_SHORT_NAMES.get(part.oid, part.oid.dotted_string)}={part.value!s}" for part in name)


def is_proxy(certificate: x509.Certificate) -> bool:
    """Whether it is an RFC 3820 proxy."""
    return any(extension.oid == _PROXY_CERT_INFO for extension in certificate.extensions)


def user_dn(chain: list[x509.Certificate]) -> str:
    """The subject of the first certificate of the chain that is not a proxy: the person or the host behind it."""
    return next((slash_name(certificate.subject) for certificate in chain if not is_proxy(certificate)), "")


def peer_chain(connection: Any) -> list[x509.Certificate]:
    """The verified chain of the client, leaf first; empty if it sent no certificate.

    Python 3.13 has a public call for it; before that the same one exists on the object beneath.
    """
    if hasattr(connection, "get_verified_chain"):
        raw = connection.get_verified_chain()
    else:
        import _ssl

        raw = [certificate.public_bytes(_ssl.ENCODING_DER) for certificate in connection._sslobj.get_verified_chain() or []]
    return [x509.load_der_x509_certificate(certificate) for certificate in raw]


def delegation_id(dn: str) -> str:
    """16 hexadecimal digits from the DN, as FTS3 makes them for a proxy without VOMS attributes."""
    return hashlib.sha1(dn.encode(), usedforsecurity=False).hexdigest()[:16]


def make_request() -> tuple[str, str]:
    """
    :returns: (private key PEM, certificate request PEM); the key never leaves the server
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "FTS3 stand-in")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return key_pem.decode(), request.public_bytes(serialization.Encoding.PEM).decode()


def accept_proxy(chain_pem: bytes, key_pem: str, caller_dn: str) -> tuple[str, datetime]:
    """Check what the client signed and join it with the key.

    :param chain_pem: the new proxy first, then the client's own chain
    :param key_pem: the key that the request was made with
    :param caller_dn: DN of the caller on this connection
    :returns: (proxy file contents: certificate, key, chain; its end of validity, the earliest of the chain)
    :raises BadProxy: with the reason
    """
    try:
        chain = x509.load_pem_x509_certificates(chain_pem)
    except ValueError as error:
        raise BadProxy(f"not a PEM certificate chain: {error}") from error
    if len(chain) < 2:
        raise BadProxy("the chain must hold the new proxy and the certificate that signed it")
    proxy, issuer = chain[0], chain[1]
    key = serialization.load_pem_private_key(key_pem.encode(), None)
    if proxy.public_key() != key.public_key():
        raise BadProxy("the proxy does not match the stored private key; ask for a new request")
    _check_signature(proxy, issuer)
    if slash_name(proxy.issuer) != slash_name(issuer.subject) or not slash_name(proxy.subject).startswith(
        slash_name(proxy.issuer) + "/CN="
    ):
        raise BadProxy("the subject is not the issuer's with one more CN")
    if not is_proxy(proxy) or user_dn(chain) != caller_dn:
        raise BadProxy(f"the chain belongs to {user_dn(chain) or 'nobody'}, the caller is {caller_dn}")
    termination = min(certificate.not_valid_after_utc for certificate in chain)
    if termination <= datetime.now(UTC):
        raise BadProxy(f"expired at {termination:%Y-%m-%dT%H:%M:%S}Z")
    pem = [certificate.public_bytes(serialization.Encoding.PEM).decode() for certificate in chain]
    return pem[0] + key_pem + "".join(pem[1:]), termination


def _check_signature(proxy: x509.Certificate, issuer: x509.Certificate) -> None:
    public, algorithm = issuer.public_key(), proxy.signature_hash_algorithm
    if not isinstance(public, rsa.RSAPublicKey) or algorithm is None:
        raise BadProxy("only RSA keys are served")
    try:
        public.verify(proxy.signature, proxy.tbs_certificate_bytes, padding.PKCS1v15(), algorithm)
    except InvalidSignature as error:
        raise BadProxy("the signature is not that of the second certificate in the chain") from error
