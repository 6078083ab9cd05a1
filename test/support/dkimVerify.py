"""Verifies DKIM signatures with dkimpy: one JSON object per line in, with the message (base64) and the DNS records."""
import base64
import json
import sys

import dkim

for line in sys.stdin:
    job = json.loads(line)
    message = base64.b64decode(job["message"])
    records = {name: value.encode() for name, value in job["records"].items()}
    lookup = lambda name, timeout=5: records.get(name.decode().rstrip("."))
    verifier = dkim.DKIM(message)
    print(json.dumps([bool(verifier.verify(idx=i, dnsfunc=lookup)) for i in range(job["signatures"])]), flush=True)
