"""What neon.py says and reads on the wire: messages of the protocol, and the texts of Neon's proxy."""

import re
import struct

SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102
PROTOCOL_3_0 = 196608

INSECURE = "connection is insecure (try using `sslmode=require`)"
NO_ENDPOINT = ("Endpoint ID is not specified. Either please upgrade the postgres client library (libpq) for "
               "SNI support or pass the endpoint ID (first part of the domain name) as a parameter: "
               "'?options=endpoint%3D<endpoint-id>'. See more at https://neon.tech/sni")
INCONSISTENT = "Inconsistent project name inferred from SNI ('{}') and project option ('{}')."
BAD_NAME = "Project name ('{}') must contain only alphanumeric characters and hyphen."
NOT_FOUND = "Control plane request failed: endpoint cannot be found"
DISABLED = "Control plane request failed: endpoint is disabled"
UNAVAILABLE = ("Control plane request failed: endpoint is temporarily unavailable. Check your quotas and/or "
               "contact our support.")
CONTROL_PLANE = "Control plane request failed"
COMPUTE_QUOTA = ("Your account or project has exceeded the compute time quota. Upgrade your plan to increase "
                 "limits.")
TRANSFER_QUOTA = "Your project has exceeded the data transfer quota. Upgrade your plan to increase limits."
NO_COMPUTE = "Couldn't connect to compute node"
NO_PERMIT = ("Failed to acquire permit to connect to the database. Too many database connection attempts are "
             "currently ongoing.")
TOO_MANY = "Too many connections to this endpoint. Please try again later."
ACTIVE_LIMIT = "You have exceeded the limit of concurrently active endpoints"
IP_NOT_ALLOWED = ("This IP address 127.0.0.1 is not allowed to connect to this endpoint. Please add it to the "
                  "allowed list in the Neon console. Make sure to check for IPv4 or IPv6 addresses.")
BLOCKED_NETWORK = "This connection is trying to access this endpoint from a blocked network."
LATE = "Authentication timed out"
WRONG_PASSWORD = "password authentication failed for user '{}'"
POOLED_OPTION = ("unsupported startup parameter in options: {}. Please use unpooled connection or remove this "
                 "parameter from the startup package. More details: https://neon.tech/docs/connect/"
                 "connection-errors#unsupported-startup-parameter")
FULL = "could not extend file because project size limit ({} MB) has been exceeded"
FULL_HINT = ("This limit is defined externally by the project size limit, and internally by "
             "neon.max_cluster_size GUC")

_FORWARDED = ("user", "database", "application_name", "replication")
_NEON_OPTION = re.compile(r"(?:^|\s)(?:-c\s*)?(endpoint|project|neon_[a-z_]+)[=:](\S*)")


def message(kind, body):
    return kind + struct.pack("!i", len(body) + 4) + body


def error(text, code="XX000", hint=None, known=False):
    """An ErrorResponse: as the proxy writes it (S, C and M only), or with known as a server does."""
    fields = b"SERROR\0" + (b"VERROR\0" if known else b"") + b"C" + code.encode() + b"\0M" + \
        text.encode() + b"\0"
    if hint:
        fields += b"H" + hint.encode() + b"\0"
    return message(b"E", fields + b"\0")


def error_fields(body):
    """{"M": text, ...} of an ErrorResponse."""
    return {f[:1].decode(): f[1:].decode(errors="replace") for f in body.split(b"\0") if f}


def startup_fields(body):
    """The parameters of a startup packet (what follows the protocol's number)."""
    words = body.split(b"\0")
    return {k.decode(): v.decode() for k, v in zip(words[::2], words[1::2]) if k}


def startup_packet(fields):
    body = struct.pack("!i", PROTOCOL_3_0)
    for key, value in fields.items():
        body += key.encode() + b"\0" + value.encode() + b"\0"
    return struct.pack("!i", len(body) + 5) + body + b"\0"


def neon_options(options):
    """The routing words of `options` as a dict, and what is left of it for the server."""
    words = {key: value for key, value in _NEON_OPTION.findall(options)}
    return words, _NEON_OPTION.sub(" ", options).strip()


def forwarded(fields):
    """The startup parameters that reach the compute: everything else is dropped without a word."""
    kept = {k: v for k, v in fields.items() if k in _FORWARDED}
    rest = neon_options(fields.get("options", ""))[1]
    if rest:
        kept["options"] = rest
    kept["client_encoding"] = "UTF8"
    return kept


def negotiate(protocol, fields):
    """NegotiateProtocolVersion for a client that asked for more than 3.0, else nothing."""
    if protocol & 0xffff == 0:
        return b""
    names = [k for k in fields if k.startswith("_pq_.")]
    body = struct.pack("!ii", 0, len(names)) + b"".join(n.encode() + b"\0" for n in names)
    return message(b"v", body)
