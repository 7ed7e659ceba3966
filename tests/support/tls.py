"""A self-signed certificate of "localhost", its own authority, as files."""

from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from guard.clock import SystemClock


def write_pair(folder: Path, *, serial: int = 1, days: tuple[int, int] = (-1, 1)) -> tuple[Path, Path]:
    """`cert.pem` and `key.pem` in the folder, valid from so many days from now until so many: this day."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    today = SystemClock().wall()
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key())
    builder = builder.serial_number(serial).not_valid_before(today + timedelta(days=days[0]))
    builder = builder.not_valid_after(today + timedelta(days=days[1]))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate, key = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(builder.sign(private, hashes.SHA256()).public_bytes(Encoding.PEM))
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, key
