"""Parses messages with Python's email package: one base64 line in, one JSON line out."""
import base64
import email
import email.policy
import json
import re
import sys
from email.header import decode_header, make_header
from email.utils import getaddresses

ADDRESSES = {"from", "sender", "to", "cc", "bcc", "reply-to"}


def text(raw):
    """An unfolded header value; UTF-8 is kept as surrogates by the parser."""
    return re.sub(r"\r\n(?=[ \t])", "", raw).encode("ascii", "surrogateescape").decode("utf-8")


def decoded(value):
    return str(make_header(decode_header(value))) if "=?" in value else value


def pairs(value):
    try:
        # The strict mode of newer versions takes every domain literal for an error.
        return getaddresses([value], strict=False)
    except TypeError:
        return getaddresses([value])


def mailboxes(value):
    return [{"name": decoded(name), "address": address} for name, address in pairs(value) if address]


def walk(part, leaves):
    kind = part.get_content_type()
    if kind == "message/rfc822":
        leaf = facts(part)
        leaf["content"] = None
        leaves.append(leaf)
        return "rfc822(%s)" % walk(part.get_payload()[0], leaves)
    if part.is_multipart():
        return "%s(%s)" % (kind.split("/")[1], ",".join(walk(child, leaves) for child in part.get_payload()))
    leaf = facts(part)
    leaf["content"] = base64.b64encode(part.get_payload(decode=True)).decode()
    leaves.append(leaf)
    return kind


def filename_of(part):
    """The parameter as it is: get_filename() also removes what the name itself has in quotes or angle brackets."""
    found = part.get_param("filename", header="content-disposition", unquote=False)
    charset, value = ("us-ascii", found) if not isinstance(found, tuple) else (found[0] or "us-ascii", found[2])
    if value is None:
        return None
    if value.startswith('"') and value.endswith('"'):
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    return value.encode("latin1").decode(charset)


def facts(part):
    filename = filename_of(part)
    cid = part["content-id"]
    return {
        "type": part.get_content_type(),
        "disposition": part.get_content_disposition(),
        "filename": filename,
        "cid": None if cid is None else cid.strip()[1:-1],
        "method": part.get_param("method"),
        "charset": part.get_param("charset"),
        "defects": [type(defect).__name__ for defect in part.defects],
    }


for line in sys.stdin:
    message = email.message_from_bytes(base64.b64decode(line), policy=email.policy.compat32)
    headers = []
    for name, raw in message.raw_items():
        key, value = name.lower(), text(raw)
        headers.append([key, mailboxes(value) if key in ADDRESSES else decoded(value)])
    leaves = []
    tree = walk(message, leaves)
    print(json.dumps({"headers": headers, "tree": tree, "leaves": leaves}), flush=True)
