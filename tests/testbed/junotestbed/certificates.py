"""A throwaway certificate authority with the host's and the users' certificates."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from junotestbed.settings import VO, Settings
from junotestbed.shell import run, write

DN_PREFIX = "/O=JUNO Testbed"
HOST_DN = f"{DN_PREFIX}/CN=localhost"


@dataclass(frozen=True)
class User:
    """A person of the testbed; ``group`` is empty for one who has a certificate but is not in DIRAC's registry."""

    name: str
    common_name: str
    group: str
    upload: bool = False

    @property
    def dn(self) -> str:
        return f"{DN_PREFIX}/CN={self.common_name}"


USERS = (
    User("admin", "Testbed Admin", "dirac_admin"),
    User("prod", "Production Manager", f"{VO}_prod", upload=True),
    User("shifter", "Shifter On Duty", f"{VO}_shifter"),
    User("stranger", "Known Stranger", "visitor"),
    User("pilot", "Pilot Factory", f"{VO}_pilot"),
    User("outsider", "Unknown Outsider", ""),
)


def make_certificates(settings: Settings) -> None:
    """Make the authority, host and user certificates that are missing."""
    ca = settings.ca
    if (ca / "complete").exists():
        for user in USERS:
            if not (settings.users / user.name / "usercert.pem").exists():
                _sign(settings, user.dn, settings.users / user.name, "user")
        return
    ca.mkdir(parents=True, exist_ok=True)
    run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "3650",
            "-sha256",
            "-subj",
            f"{DN_PREFIX}/CN=Testbed CA",
            "-keyout",
            f"{ca}/ca.key",
            "-out",
            f"{ca}/ca.pem",
            "-addext",
            "basicConstraints=critical,CA:TRUE",
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign",
        ]
    )
    grid_security = settings.dirac_root / "etc/grid-security"
    trusted = grid_security / "certificates"
    trusted.mkdir(parents=True, exist_ok=True)
    shutil.copy(ca / "ca.pem", trusted / "JUNO-Testbed-CA.pem")
    _sign(settings, HOST_DN, grid_security, "host", "DNS:localhost,IP:127.0.0.1")
    for user in USERS:
        _sign(settings, user.dn, settings.users / user.name, "user")
    run(["openssl", "rehash", str(trusted)])
    write(ca / "complete", "")


def _sign(settings: Settings, dn: str, folder, kind: str, alternative_name: str = "") -> None:
    """Write ``<kind>cert.pem`` and ``<kind>key.pem`` for one subject."""
    folder.mkdir(parents=True, exist_ok=True)
    request, extensions = folder / f"{kind}.csr", folder / f"{kind}.ext"
    key, certificate = folder / f"{kind}key.pem", folder / f"{kind}cert.pem"
    run(["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", dn, "-keyout", str(key), "-out", str(request)])
    usage = "serverAuth,clientAuth" if kind == "host" else "clientAuth"
    lines = [
        "basicConstraints=critical,CA:FALSE",
        "keyUsage=critical,digitalSignature,keyEncipherment",
        f"extendedKeyUsage={usage}",
    ]
    if alternative_name:
        lines.append(f"subjectAltName={alternative_name}")
    write(extensions, "\n".join(lines) + "\n")
    run(
        [
            "openssl",
            "x509",
            "-req",
            "-in",
            str(request),
            "-CA",
            f"{settings.ca}/ca.pem",
            "-CAkey",
            f"{settings.ca}/ca.key",
            "-CAcreateserial",
            "-days",
            "3650",
            "-sha256",
            "-extfile",
            str(extensions),
            "-out",
            str(certificate),
        ]
    )
    key.chmod(0o400)
    request.unlink()
    extensions.unlink()
