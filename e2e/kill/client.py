"""One connection to the registry, which may be killed at any time."""

import http.client
from urllib.parse import urlsplit

from content import content


class Died(Exception):
    """No answer: the registry was killed."""


class Client:
    """One connection. Whatever cuts it off is `Died`."""

    def __init__(self, address, timeout=20):
        self.connection = http.client.HTTPConnection(*address, timeout=timeout)

    def ask(self, method, url, body=None, headers=None):
        split = urlsplit(url)
        path = split.path + ("?" + split.query if split.query else "")
        headers = dict(headers or {})
        if body is None and method in ("POST", "PUT", "PATCH"):
            body = b""
        try:
            try:
                self.connection.request(method, path, body=body, headers=headers)
            except (BrokenPipeError, ConnectionResetError):
                # Answered before all of the body was taken? Then the answer is there to be read.
                if self.connection.sock is None:
                    raise
            response = self.connection.getresponse()
            content = response.read()
            if response.status >= 400:
                # A server may close a connection on which it refused a body.
                self.connection.close()
        except TimeoutError:
            self.connection.close()
            raise
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            raise Died(f"{method} {path}: {error!r}") from error
        return response.status, response.headers, content
