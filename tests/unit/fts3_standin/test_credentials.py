from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID, ObjectIdentifier
from fts3_standin.credentials import BadProxy, accept_proxy, delegation_id, make_request, user_dn

PROXY_CERT_INFO = x509.UnrecognizedExtension(
    ObjectIdentifier("1.3.6.1.5.5.7.1.14"), bytes.fromhex("300c300a06082b06010505071501")
)
ME = "/O=Test/CN=me"


def name(*common_names):
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test")]
    return x509.Name(parts + [x509.NameAttribute(NameOID.COMMON_NAME, text) for text in common_names])


def certify(subject, public_key, issuer, issuer_key, proxy=True, life=timedelta(hours=7)):
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public_key)
    builder = builder.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + life)
    return (builder.add_extension(PROXY_CERT_INFO, critical=True) if proxy else builder).sign(issuer_key, hashes.SHA256())


def pem(*certificates):
    return b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates)


@pytest.fixture(scope="module")
def keys():
    return [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]


@pytest.fixture(scope="module")
def request_of_server():
    key_pem, csr_pem = make_request()
    return key_pem, x509.load_pem_x509_csr(csr_pem.encode()).public_key()


@pytest.fixture(scope="module")
def chain(keys):
    """A user's proxy and certificate."""
    user = certify(name("me"), keys[0].public_key(), name("ca"), keys[1], proxy=False, life=timedelta(hours=5))
    return [certify(name("me", "1"), keys[1].public_key(), name("me"), keys[0]), user]


def test_a_good_chain_becomes_a_proxy_file_that_ends_with_the_first_of_its_certificates(chain, keys, request_of_server):
    key_pem, public = request_of_server
    delegated = certify(name("me", "1", "2"), public, name("me", "1"), keys[1])
    contents, termination = accept_proxy(pem(delegated, *chain), key_pem, ME)
    assert contents == pem(delegated).decode() + key_pem + pem(*chain).decode()
    assert termination == chain[1].not_valid_after_utc


def test_the_caller_is_the_person_behind_any_number_of_proxies(chain):
    assert user_dn(chain) == user_dn(chain[1:]) == ME
    assert user_dn([]) == ""
    assert delegation_id(ME) != delegation_id(ME + "/CN=1")
    assert len(delegation_id(ME)) == 16


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"public": True}, "private key"),
        ({"signer": 0}, "signature"),
        ({"subject": name("you", "1", "2")}, "one more CN"),
        ({"caller": "/O=Test/CN=you"}, "caller"),
        ({"proxy": False}, "caller"),
        ({"life": timedelta(seconds=-1)}, "expired"),
    ],
)
def test_a_proxy_that_is_not_the_callers_own_valid_delegation_is_refused(chain, keys, request_of_server, change, text):
    key_pem, public = request_of_server
    delegated = certify(
        change.get("subject", name("me", "1", "2")),
        keys[0].public_key() if "public" in change else public,
        name("me", "1"),
        keys[change.get("signer", 1)],
        proxy=change.get("proxy", True),
        life=change.get("life", timedelta(hours=7)),
    )
    with pytest.raises(BadProxy, match=text):
        accept_proxy(pem(delegated, *chain), key_pem, change.get("caller", ME))


@pytest.mark.parametrize("chain_pem", [b"", b"not PEM"])
def test_what_is_no_chain_is_refused(request_of_server, chain_pem):
    with pytest.raises(BadProxy):
        accept_proxy(chain_pem, request_of_server[0], ME)
