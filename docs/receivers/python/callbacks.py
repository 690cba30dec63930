"""What a receiver of switchhook's callbacks does, whatever serves it. Python 3.9 or newer.

Set in the environment:
  SECRET_FILE  a file with the secret; during a rotation two, one a line
  PROFILE      vos3000 (default) or standard
  INBOX        a directory this process may write to, on a local disk
"""

import base64
import hashlib
import hmac
import json
import logging
import os
import re
import tempfile
import time

BODY_BYTES_MAX = 1 << 20
WINDOW_SECONDS = 300

PROFILE = os.environ.get("PROFILE", "vos3000")
if PROFILE not in ("vos3000", "standard"):
    raise SystemExit(f"PROFILE is vos3000 or standard, not {PROFILE}")
INBOX = os.environ.get("INBOX", "")
if not os.path.isdir(INBOX):
    raise SystemExit(f"set INBOX to an existing directory, not {INBOX!r}")
try:
    with open(os.environ.get("SECRET_FILE", ""), encoding="utf-8") as file:
        SECRETS = [line for line in file.read().splitlines() if line]
except OSError as problem:
    raise SystemExit(f"set SECRET_FILE to a file with the secret of the endpoint: {problem}")
if not SECRETS:
    raise SystemExit("SECRET_FILE holds no secret")

log = logging.getLogger("callbacks")


def take(headers, body):
    """Judges one request and stores it; returns the status and the answer's body."""
    problem = why_not(headers, body)
    if problem:
        return refuse(401, problem)
    try:
        event = json.loads(body)
        identity = headers.get("webhook-id") if PROFILE == "standard" else event["id"]
    except (ValueError, TypeError, KeyError):
        return refuse(400, "no callback")
    if not isinstance(identity, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", identity):
        return refuse(400, "no id")
    try:
        return 200, {"status": "received" if store(identity, body) else "known"}
    except OSError as problem:
        return refuse(503, f"not stored: {problem.strerror}")


def refuse(status, text):
    log.warning("callback refused: %s %s", status, text)
    return status, {"error": text}


def why_not(headers, body):
    """Why it is not to be believed that a holder of a secret sent exactly these bytes, lately."""
    if PROFILE == "standard":
        identity, sent = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not re.fullmatch(r"[0-9]{1,12}", sent) or abs(time.time() - int(sent)) > WINDOW_SECONDS:
            return "the timestamp is missing or more than 300 s off: compare the clocks"
        signed = f"{identity}.{sent}.".encode() + body
        given = headers.get("webhook-signature", "").split(" ")
    else:
        signed, given = body, [headers.get("x-vos3000-signature", "")]
    # compare_digest takes the same time wherever two signatures differ.
    is_signed = any(
        hmac.compare_digest(signature.encode(), expected(secret, signed))
        for secret in SECRETS
        for signature in given
    )
    return None if is_signed else "no signature matches: compare the secret and the profile"


def expected(secret, signed):
    if PROFILE == "standard":
        is_base64 = secret.startswith("whsec_")
        key = base64.b64decode(secret[len("whsec_"):]) if is_base64 else secret.encode()
        return b"v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256))
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode()


def store(identity, body):
    """Writes the body under its id, durably; False when that id is there already."""
    descriptor, unfinished = tempfile.mkstemp(prefix=".unfinished-", dir=INBOX)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        # A link is made whole or not at all, and not where the name is taken: two repeats that come
        # at the same moment are told apart by the file system.
        os.link(unfinished, os.path.join(INBOX, f"{identity}.json"))
        directory = os.open(INBOX, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        return True
    except FileExistsError:
        return False
    finally:
        os.unlink(unfinished)
