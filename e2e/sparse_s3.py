"""An S3 server that keeps no zero: sparse_s3.py PORT BUCKET

Bytes other than zero are kept in memory, runs of zeros as their length, so an upload of many GiB needs
neither disk nor memory here. It speaks what a registry says to a bucket: objects, listings, uploads in
parts, copies of objects and parts. The rules that make large uploads hard are kept: parts of at least
5 MiB but for the last, at most 10,000 of them, and copies of at most COPY_LIMIT bytes (5 GiB unless the
environment says otherwise). Signatures are not checked; other emulators do that.

GET /.log gives the requests so far, one line each: kind, key, bytes.
"""

import email.utils
import hashlib
import html
import os
import re
import sys
import threading
import urllib.parse
import xml.sax.saxutils as xml
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, BUCKET = int(sys.argv[1]), sys.argv[2]
COPY_LIMIT = int(os.environ.get("COPY_LIMIT", 5 << 30))
MIN_PART, MAX_PARTS = 5 << 20, 10_000
PIECE = 1 << 20
NOTHING = bytes(PIECE)
ZEROS = memoryview(NOTHING)

lock = threading.Lock()
objects = {}
uploads = {}
log = []


class Data:
    """Bytes as a list of runs: `bytes`, or the length of a run of zeros."""

    def __init__(self, runs=()):
        self.runs = list(runs)
        self.size = sum(run if isinstance(run, int) else len(run) for run in self.runs)
        self.modified = email.utils.formatdate(usegmt=True)
        self.etag = ""

    def slice(self, start, end):
        runs, at = [], 0
        for run in self.runs:
            length = run if isinstance(run, int) else len(run)
            low, high = max(start - at, 0), min(end - at, length)
            if low < high:
                runs.append(high - low if isinstance(run, int) else run[low:high])
            at += length
        return Data(runs)

    def pieces(self):
        for run in self.runs:
            if not isinstance(run, int):
                yield run
                continue
            while run > 0:
                yield ZEROS[: min(run, PIECE)]
                run -= min(run, PIECE)


class S3Error(Exception):
    def __init__(self, status, code):
        super().__init__(code)
        self.status, self.code = status, code


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    def log_message(self, *_):
        pass

    def receive(self):
        """The body: decoded where it is `aws-chunked`, its zeros counted rather than kept."""
        left = int(self.headers.get("Content-Length") or 0)
        runs, digest, zeros = [], hashlib.md5(), 0
        while left > 0:
            piece = self.rfile.read(min(left, PIECE))
            if not piece:
                raise ConnectionError("the body broke off")
            left -= len(piece)
            if piece == NOTHING[: len(piece)]:  # as bytes: a view is compared value by value
                zeros += len(piece)
                continue
            digest.update(piece)
            if zeros:
                runs.append(zeros)
                zeros = 0
            runs.append(bytes(piece))
        if zeros:
            runs.append(zeros)
        data = Data(runs)
        # Not the MD5 that it looks like: zeros are told by their number, which is as good for comparing.
        digest.update(str([run if isinstance(run, int) else 0 for run in runs]).encode())
        data.etag = f'"{digest.hexdigest()}"'
        return data

    def answer(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def document(self, root, inner, status=200):
        text = f'<?xml version="1.0" encoding="UTF-8"?><{root}>{inner}</{root}>'
        self.answer(status, text.encode(), [("Content-Type", "application/xml")])

    def dispatch(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        bucket, _, key = urllib.parse.unquote(url.path).lstrip("/").partition("/")
        if bucket == ".log":
            with lock:
                text = "".join(f"{line}\n" for line in log)
            return self.answer(200, text.encode())
        data = self.receive() if self.command in ("PUT", "POST") else None
        try:
            if bucket != BUCKET:
                raise S3Error(404, "NoSuchBucket")
            kind, act = self.route(key, query)
            with lock:
                log.append(f"{kind} {key or query.get('prefix', '')} {data.size if data else 0}")
            act(key, query, data)
        except S3Error as error:
            self.document("Error", f"<Code>{error.code}</Code><Message>{error.code}</Message>", error.status)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = dispatch

    def route(self, key, query):
        if self.command in ("GET", "HEAD"):
            if not key:
                return ("ListUploads", self.list_uploads) if "uploads" in query else ("List", self.list)
            if "uploadId" in query:
                return "ListParts", self.list_parts
            return ("Head" if self.command == "HEAD" else "Get"), self.get
        if self.command == "PUT":
            copies = "x-amz-copy-source" in self.headers
            if "uploadId" in query:
                return ("PartCopy", self.copy_part) if copies else ("Part", self.put_part)
            return ("Copy", self.copy) if copies else ("Put", self.put)
        if self.command == "POST":
            if "delete" in query:
                return "DeleteObjects", self.delete_many
            return ("Create", self.create) if "uploads" in query else ("Complete", self.complete)
        return ("Abort", self.abort) if "uploadId" in query else ("Delete", self.delete)

    # ------------------------------------------------------------- objects

    def find(self, key):
        with lock:
            if key not in objects:
                raise S3Error(404, "NoSuchKey")
            return objects[key]

    def span(self, header, size):
        """The first and the last byte but one of a range."""
        match = re.fullmatch(r"bytes=(\d*)-(\d*)", header)
        first, last = match.groups()
        if not first:
            return max(size - int(last), 0), size
        start, end = int(first), min(int(last) + 1, size) if last else size
        if start >= size:
            raise S3Error(416, "InvalidRange")
        return start, end

    def get(self, key, _query, _data):
        data = self.find(key)
        headers = [("ETag", data.etag), ("Last-Modified", data.modified), ("Accept-Ranges", "bytes")]
        status, part = 200, data
        if "Range" in self.headers:
            start, end = self.span(self.headers["Range"], data.size)
            headers.append(("Content-Range", f"bytes {start}-{end - 1}/{data.size}"))
            status, part = 206, data.slice(start, end)
        self.send_response(status)
        for name, value in [*headers, ("Content-Length", str(part.size))]:
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            for piece in part.pieces():
                self.wfile.write(piece)

    def put(self, key, _query, data):
        with lock:
            if self.headers.get("If-None-Match") == "*" and key in objects:
                raise S3Error(412, "PreconditionFailed")
            objects[key] = data
        self.answer(200, headers=[("ETag", data.etag)])

    def source(self):
        text = urllib.parse.unquote(self.headers["x-amz-copy-source"]).lstrip("/")
        data = self.find(text.partition("/")[2])
        start, end = 0, data.size
        if "x-amz-copy-source-range" in self.headers:
            start, end = self.span(self.headers["x-amz-copy-source-range"], data.size)
        if end - start > COPY_LIMIT:
            raise S3Error(400, "InvalidRequest")
        part = data.slice(start, end)
        part.etag = f'"{hashlib.md5(f"{data.etag}{start}{end}".encode()).hexdigest()}"'
        return part

    def copy(self, key, _query, _data):
        data = self.source()
        with lock:
            objects[key] = data
        self.document("CopyObjectResult", f"<ETag>{xml.escape(data.etag)}</ETag>")

    def delete(self, key, _query, _data):
        with lock:
            objects.pop(key, None)
        self.answer(204)

    def delete_many(self, _key, _query, data):
        text = b"".join(bytes(piece) for piece in data.pieces()).decode()
        keys = [html.unescape(key) for key in re.findall(r"<Key>(.*?)</Key>", text)]
        with lock:
            for key in keys:
                objects.pop(key, None)
        self.document("DeleteResult", "".join(f"<Deleted><Key>{xml.escape(key)}</Key></Deleted>" for key in keys))

    def list(self, _key, query, _data):
        prefix, fold = query.get("prefix", ""), query.get("delimiter", "")
        after = query.get("continuation-token") or query.get("start-after", "")
        limit, found = int(query.get("max-keys", 1000)), []
        with lock:
            keys = sorted(key for key in objects if key.startswith(prefix))
            sizes = {key: objects[key].size for key in keys}
            modified = email.utils.formatdate(usegmt=True)
        more = False
        for key in keys:
            if fold and fold in key[len(prefix) :]:
                key = prefix + key[len(prefix) :].partition(fold)[0] + fold
            if key <= after or (found and found[-1] == key):
                continue
            if len(found) == limit:
                more = True
                break
            found.append(key)
        body = f"<Name>{BUCKET}</Name><Prefix>{xml.escape(prefix)}</Prefix><KeyCount>{len(found)}</KeyCount>"
        body += f"<MaxKeys>{limit}</MaxKeys><IsTruncated>{str(more).lower()}</IsTruncated>"
        if more:
            body += f"<NextContinuationToken>{xml.escape(found[-1])}</NextContinuationToken>"
        stamp = email.utils.parsedate_to_datetime(modified).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        for key in found:
            name = xml.escape(key)
            if key in sizes:
                body += f"<Contents><Key>{name}</Key><LastModified>{stamp}</LastModified>"
                body += f"<ETag>&quot;0&quot;</ETag><Size>{sizes[key]}</Size></Contents>"
            else:
                body += f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"
        self.document("ListBucketResult", body)

    # ------------------------------------------------------------- uploads

    def create(self, key, _query, _data):
        upload = os.urandom(16).hex()
        with lock:
            uploads[upload] = (key, {})
        self.document("InitiateMultipartUploadResult", f"<Key>{xml.escape(key)}</Key><UploadId>{upload}</UploadId>")

    def parts(self, key, query):
        with lock:
            found = uploads.get(query["uploadId"])
        if found is None or found[0] != key:
            raise S3Error(404, "NoSuchUpload")
        return found[1]

    def keep_part(self, key, query, data):
        number = int(query["partNumber"])
        if not 1 <= number <= MAX_PARTS:
            raise S3Error(400, "InvalidArgument")
        parts = self.parts(key, query)
        with lock:
            parts[number] = data

    def put_part(self, key, query, data):
        self.keep_part(key, query, data)
        self.answer(200, headers=[("ETag", data.etag)])

    def copy_part(self, key, query, _data):
        part = self.source()
        self.keep_part(key, query, part)
        self.document("CopyPartResult", f"<ETag>{xml.escape(part.etag)}</ETag>")

    def complete(self, key, query, data):
        text = b"".join(bytes(piece) for piece in data.pieces()).decode()
        parts, whole = self.parts(key, query), []
        listed = re.findall(r"<Part>(.*?)</Part>", text, re.S)
        for n, part in enumerate(listed, 1):
            number = int(re.search(r"<PartNumber>(\d+)</PartNumber>", part).group(1))
            tag = html.unescape(re.search(r"<ETag>(.*?)</ETag>", part).group(1))
            with lock:
                there = parts.get(number)
            if there is None or there.etag.strip('"') != tag.strip('"'):
                raise S3Error(400, "InvalidPart")
            if there.size < MIN_PART and n < len(listed):
                raise S3Error(400, "EntityTooSmall")
            whole += there.runs
        result = Data(whole)
        result.etag = f'"{query["uploadId"]}-{len(listed)}"'
        with lock:
            objects[key] = result
            uploads.pop(query["uploadId"], None)
        self.document("CompleteMultipartUploadResult", f"<ETag>{xml.escape(result.etag)}</ETag>")

    def abort(self, key, query, _data):
        self.parts(key, query)
        with lock:
            uploads.pop(query["uploadId"], None)
        self.answer(204)

    def list_parts(self, key, query, _data):
        after = int(query.get("part-number-marker") or 0)
        parts = self.parts(key, query)
        with lock:
            numbers = [number for number in sorted(parts) if number > after]
            page = numbers[:1000]
            body = "".join(
                f"<Part><PartNumber>{n}</PartNumber><ETag>{xml.escape(parts[n].etag)}</ETag>"
                f"<Size>{parts[n].size}</Size></Part>"
                for n in page
            )
        body += f"<IsTruncated>{str(len(numbers) > 1000).lower()}</IsTruncated>"
        if page:
            body += f"<NextPartNumberMarker>{page[-1]}</NextPartNumberMarker>"
        self.document("ListPartsResult", body)

    def list_uploads(self, _key, query, _data):
        prefix = query.get("prefix", "")
        with lock:
            found = sorted((key, upload) for upload, (key, _) in uploads.items() if key.startswith(prefix))
        body = "<IsTruncated>false</IsTruncated>" + "".join(
            f"<Upload><Key>{xml.escape(key)}</Key><UploadId>{upload}</UploadId>"
            "<Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload>"
            for key, upload in found
        )
        self.document("ListMultipartUploadsResult", body)


class Server(ThreadingHTTPServer):
    request_queue_size = 128


Server(("127.0.0.1", PORT), Handler).serve_forever()
