#!/usr/bin/python3
"""A mail server on loopback for e2e/logging.sh: aiosmtpd, which writes each mail into a file.

smtp_sink.py DIRECTORY [--tls CERTIFICATE KEY] [--auth NAME PASSWORD] [--hang]

Prints its port. A mail becomes DIRECTORY/<n>.json: who, for whom, headers and text, and whether it came over
TLS and after a login. With --hang it takes connections and says nothing.
"""

import argparse
import asyncio
import email
import email.policy
import json
import pathlib
import ssl

from aiosmtpd.smtp import SMTP, AuthResult

arguments = argparse.ArgumentParser()
arguments.add_argument("directory", type=pathlib.Path)
arguments.add_argument("--tls", nargs=2)
arguments.add_argument("--auth", nargs=2)
arguments.add_argument("--hang", action="store_true")
arguments = arguments.parse_args()


class Sink:
    count = 0

    async def handle_DATA(self, server, session, envelope):
        Sink.count += 1
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        found = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "headers": {name.lower(): str(value) for name, value in mail.items()},
            "text": mail.get_content(),
            "tls": session.ssl is not None,
            "login": bool(session.authenticated),
        }
        path = arguments.directory / f"{Sink.count}.json"
        path.with_suffix(".part").write_text(json.dumps(found))
        path.with_suffix(".part").rename(path)
        return "250 taken"


def login(server, session, envelope, mechanism, data):
    name, password = (text.encode() for text in arguments.auth)
    return AuthResult(success=mechanism == "PLAIN" and (data.login, data.password) == (name, password))


async def main():
    loop = asyncio.get_running_loop()
    context = None
    if arguments.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*arguments.tls)

    def protocol():
        if arguments.hang:
            return asyncio.Protocol()
        options = {"loop": loop, "tls_context": context, "enable_SMTPUTF8": True}
        if arguments.auth:
            options |= {"authenticator": login, "auth_required": True, "auth_require_tls": bool(context)}
        return SMTP(Sink(), **options)

    server = await loop.create_server(protocol, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
