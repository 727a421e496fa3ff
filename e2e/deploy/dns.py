"""A DNS server on 127.0.0.1:53 that knows in-dns.test, for a network namespace without any other."""

import socket
import struct

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
while True:
    query, client = server.recvfrom(512)
    end = query.index(b"\0", 12) + 5
    question = query[12:end]
    known = question[:-4].lower() == b"\x06in-dns\x04test\0"
    address = known and question[-4:-2] == b"\0\x01"
    # A response that may recurse; 0 is "no error", 3 is "no such name".
    header = query[:2] + struct.pack(">HHHHH", 0x8180 if known else 0x8183, 1, 1 if address else 0, 0, 0)
    record = b"\xc0\x0c" + struct.pack(">HHIH4B", 1, 1, 60, 4, 127, 0, 0, 1) if address else b""
    server.sendto(header + question + record, client)
