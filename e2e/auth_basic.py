"""Clients that guess passwords and one that knows its own, for auth-basic.sh."""

import base64
import http.client
import os
import sys
import threading
import time


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def guess(address, clients, stop):
    """So many clients, each with a new wrong password as soon as the last was refused, until the file `stop` is there.
    Half of them guess for a user that exists. Prints how often each status came."""
    counts = {}
    lock = threading.Lock()

    def run(client):
        user = "alice" if client % 2 else f"nobody{client}"
        connection = http.client.HTTPConnection(address, timeout=60)
        attempt = 0
        while not os.path.exists(stop):
            attempt += 1
            connection.request("GET", "/v2/", headers=basic(user, f"guess-{client}-{attempt}"))
            response = connection.getresponse()
            response.read()
            if response.status == 429:
                time.sleep(int(response.getheader("Retry-After")))
            with lock:
                counts[response.status] = counts.get(response.status, 0) + 1

    threads = [threading.Thread(target=run, args=(client,)) for client in range(int(clients))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(" ".join(f"{status}={count}" for status, count in sorted(counts.items())))


def cpu(pid):
    """Seconds of CPU that a process has used."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pull(address, path, seconds, pid):
    """One client that pulls all the time. Prints how many requests it made, how many failed, the times of the slowest
    in microseconds, and how much of a core the registry used."""
    connection = http.client.HTTPConnection(address, timeout=30)
    times, failed, used, begun = [], 0, cpu(pid), time.monotonic()
    while time.monotonic() - begun < float(seconds):
        started = time.perf_counter()
        connection.request("GET", path, headers=basic("alice", "secret"))
        response = connection.getresponse()
        response.read()
        times.append(time.perf_counter() - started)
        failed += response.status != 200
    cores = (cpu(pid) - used) / (time.monotonic() - begun)
    times.sort()
    at = lambda share: round(times[int(len(times) * share)] * 1e6)
    print(f"requests={len(times)} failed={failed} p50={at(0.5)} p99={at(0.99)} cores={cores:.2f}")


def cost(address, pid, count, *credentials):
    """Server CPU for each of so many requests on one connection, in microseconds."""
    headers = basic(*credentials) if credentials else {}
    connection = http.client.HTTPConnection(address, timeout=30)

    def ask(times):
        for _ in range(times):
            connection.request("GET", "/v2/", headers=headers)
            response = connection.getresponse()
            response.read()
            assert response.status == 200, response.status

    ask(2000)
    used = cpu(pid)
    ask(int(count))
    print(f"{(cpu(pid) - used) / int(count) * 1e6:.1f}")


if __name__ == "__main__":
    {"guess": guess, "pull": pull, "cost": cost}[sys.argv[1]](*sys.argv[2:])
