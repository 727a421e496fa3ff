"""Requests byte by byte, and what the answers say about access."""

import http.client
import json
import re
import socket


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


def send(port, request, head_only=False, timeout=15):
    """Sends these bytes on a connection of their own; None if nothing comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        try:
            connection.sendall(request)
        except (ConnectionResetError, BrokenPipeError):
            # It may have answered before it read everything.
            pass
        answer = http.client.HTTPResponse(connection, method="HEAD" if head_only else "GET")
        try:
            answer.begin()
            return Answer(answer.status, answer.headers, answer.read())
        except (http.client.BadStatusLine, ConnectionResetError):
            return None
        finally:
            answer.close()


def request(method, path, headers, body=b""):
    lines = [f"{method} {path} HTTP/1.1".encode(), b"Connection: close"]
    if not any(name.lower() == "host" for name, _ in headers):
        lines.append(b"Host: registry.example:5000")
    if body or method in ("POST", "PUT", "PATCH"):
        lines.append(b"Content-Length: %d" % len(body))
    lines += [name.encode() + b": " + (value.encode() if isinstance(value, str) else value) for name, value in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


PARAMETER = re.compile(r'\s*,?\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]*))')


def challenge(value):
    """RFC 9110, 11.6.1: scheme and parameters; entries of a scope and their actions sorted."""
    scheme, _, rest = value.partition(" ")
    parameters, at = {}, 0
    while at < len(rest):
        match = PARAMETER.match(rest, at)
        if not match:
            return {"unreadable": value}
        text = match[3] if match[2] is None else re.sub(r"\\(.)", r"\1", match[2])
        if match[1] in parameters:
            return {"twice": value}
        parameters[match[1]], at = text, match.end()
    if "scope" in parameters:
        entries = (entry.rpartition(":") for entry in parameters["scope"].split(" "))
        parameters["scope"] = sorted(f"{resource}:{','.join(sorted(actions.split(',')))}" for resource, _, actions in entries)
    return {"scheme": scheme, **parameters}


def detail(value):
    """The order of the accesses in it is random there."""
    return sorted(value, key=lambda one: json.dumps(one, sort_keys=True)) if isinstance(value, list) else value


def seen(answer):
    """What is compared: everything of a refusal, and of others that they are none."""
    if answer is None:
        return {"decision": "connection closed"}
    challenges = [challenge(value) for value in answer.headers.get_all("WWW-Authenticate") or []]
    found = {"decision": decision(answer), "status": answer.status, "challenge": challenges}
    if answer.status >= 400:
        try:
            errors = json.loads(answer.body)["errors"] if answer.body else []
            found["errors"] = [[one["code"], one["message"], detail(one.get("detail"))] if answer.status in (401, 403)
                               else one["code"] for one in errors]
            found["type"] = answer.headers.get("Content-Type") if answer.status in (401, 403) else None
        except (ValueError, KeyError, TypeError):
            found["errors"] = "text"
    return found


def decision(answer):
    if answer.status in (401, 403):
        return "refused"
    if answer.status >= 500 or (answer.status == 400 and not answer.body):
        return "failed"
    return "let through"
