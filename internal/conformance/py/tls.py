"""TLS in front of a plain address, for clients that send their key no other way: what a load balancer would do."""
import datetime
import ipaddress
import pathlib
import socket
import ssl
import tempfile
import threading
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def certificate(folder):
    """A key and a certificate of its own for 127.0.0.1, in one file."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256()))
    file = pathlib.Path(folder, "certificate.pem")
    file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
                     + made.public_bytes(serialization.Encoding.PEM))
    return str(file)


def pour(source, sink):
    """Copies until the source ends, and says so to the sink."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for s in (source, sink):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(listener, context, host, port):
    while True:
        plain, _ = listener.accept()
        threading.Thread(target=carry, args=(plain, context, host, port), daemon=True).start()


def carry(plain, context, host, port):
    try:
        with context.wrap_socket(plain, server_side=True) as inside, socket.create_connection((host, port)) as outside:
            for s in (inside, outside):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=pour, args=(outside, inside), daemon=True)
            back.start()
            pour(inside, outside)
            back.join()
    except OSError:
        pass


def front(base):
    """Starts TLS in front of base on a free port; returns its address and the file of its certificate."""
    at = urllib.parse.urlsplit(base)
    folder = tempfile.mkdtemp(prefix="sb-tls-")
    file = certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    threading.Thread(target=serve, args=(listener, context, at.hostname, at.port), daemon=True).start()
    return f"https://127.0.0.1:{listener.getsockname()[1]}", file
