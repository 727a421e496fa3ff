"""Pushes, asks for and pulls small blobs until a file appears; then prints requests, failures and the worst time.

python3 redis.py HOST:PORT REPOSITORY STOP-FILE
"""

import hashlib
import http.client
import os
import sys
import time

address, repository, stop = sys.argv[1:4]
requests, failures, worst = 0, [], 0.0
connection = http.client.HTTPConnection(address, timeout=30)


def ask(expected, method, path, body=None):
    global requests, worst
    started = time.monotonic()
    connection.request(method, path, body)
    answer = connection.getresponse()
    content = answer.read()
    worst = max(worst, time.monotonic() - started)
    requests += 1
    if answer.status != expected:
        failures.append(f"{method} {path}: {answer.status}, not {expected}: {content[:200]!r}")
    return answer, content


while not os.path.exists(stop):
    blob = os.urandom(1000)
    digest = "sha256:" + hashlib.sha256(blob).hexdigest()
    base = f"/v2/{repository}/blobs"
    try:
        ask(404, "HEAD", f"{base}/{digest}")
        answer, _ = ask(202, "POST", f"{base}/uploads/", b"")
        location = answer.getheader("Location", "").split(address, 1)[-1]
        ask(201, "PUT", location + ("&" if "?" in location else "?") + "digest=" + digest, blob)
        ask(200, "HEAD", f"{base}/{digest}")
        _, content = ask(200, "GET", f"{base}/{digest}")
        if content != blob:
            failures.append(f"{digest}: other bytes")
        ask(202, "DELETE", f"{base}/{digest}")
        ask(404, "GET", f"{base}/{digest}")
    except (OSError, http.client.HTTPException) as error:
        failures.append(repr(error))
        connection.close()

for line in failures[:10]:
    print(line, file=sys.stderr)
print(requests, len(failures), int(worst * 1000))
