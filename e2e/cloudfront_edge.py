"""Stands for CloudFront: checks signed URLs as the developer guide says, with openssl, and fetches from the bucket.

python3 cloudfront_edge.py PORT PUBLIC-KEY KEY-PAIR-ID ORIGIN
"""

import base64
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, PUBLIC, KEY_PAIR, ORIGIN = sys.argv[1:]


def refusal(url, query):
    """Why a URL is not good, or nothing."""
    missing = {"Expires", "Signature", "Key-Pair-Id"} - query.keys()
    if missing:
        return f"MissingKey {missing}"
    if query["Key-Pair-Id"] != KEY_PAIR:
        return "unknown Key"
    if int(query["Expires"]) < time.time():
        return "expired"
    policy = f'{{"Statement":[{{"Resource":"{url}","Condition":{{"DateLessThan":{{"AWS:EpochTime":{query["Expires"]}}}}}}}]}}'
    signature = base64.b64decode(query["Signature"].translate(str.maketrans("-_~", "+=/")), validate=True)
    hashed = {"SHA1": "-sha1", "SHA256": "-sha256"}[query.get("Hash-Algorithm", "SHA1")]
    with tempfile.NamedTemporaryFile() as file:
        file.write(signature)
        file.flush()
        verify = ["openssl", "dgst", hashed, "-verify", PUBLIC, "-signature", file.name]
        good = subprocess.run(verify, input=policy.encode(), capture_output=True).returncode == 0
    return None if good else "signature does not match"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        parts = urllib.parse.urlsplit(self.path)
        url = f"http://{self.headers['Host']}{parts.path}"
        query = dict(pair.split("=", 1) for pair in parts.query.split("&") if "=" in pair)
        why = refusal(url, query)
        if why:
            return self.answer(403, {}, f"AccessDenied: {why}\n".encode())
        ranges = {"Range": self.headers["Range"]} if self.headers["Range"] else {}
        request = urllib.request.Request(ORIGIN + parts.path, headers=ranges, method=self.command)
        try:
            with urllib.request.urlopen(request, timeout=20) as found:
                kept = ("Content-Range", "Content-Length")
                headers = {name: found.headers[name] for name in kept if found.headers[name]}
                self.answer(found.status, headers, found.read())
        except urllib.error.HTTPError as error:
            self.answer(error.code, {}, error.read())

    do_HEAD = do_GET

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


ThreadingHTTPServer(("127.0.0.1", int(PORT)), Handler).serve_forever()
