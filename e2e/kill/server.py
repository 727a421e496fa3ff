"""The registry, started and killed."""

import os
import signal
import socket
import subprocess
import time

from client import Client, Died


class Server:
    """The registry, started and killed."""

    def __init__(self, options, results):
        self.options, self.results = options, results
        self.process = None
        self.address = None

    def start(self):
        """Whether it answers within 15 s."""
        for _ in range(5):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            environment = {k: v for k, v in os.environ.items() if not k.startswith("REGISTRY_")}
            environment["REGISTRY_HTTP_ADDR"] = f"127.0.0.1:{port}"
            with open(self.options.log, "ab") as log:
                self.process = subprocess.Popen(
                    [self.options.registry, "serve", self.options.config],
                    env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                )
            with open(self.options.pids, "a", encoding="ascii") as pids:
                print(self.process.pid, file=pids)
            self.address = ("127.0.0.1", port)
            for _ in range(750):
                if self.process.poll() is not None:
                    break
                try:
                    if Client(self.address, 2).ask("GET", "/v2/")[0] == 200:
                        return True
                except (Died, TimeoutError):
                    pass
                time.sleep(0.02)
            else:
                break
            # It ended by itself: perhaps somebody else took the port.
        return False

    def kill(self):
        """Whether it was alive until now."""
        alive = self.process.poll() is None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        with open(self.options.pids, encoding="ascii") as pids:
            others = [line for line in pids if line.strip() != str(self.process.pid)]
        with open(self.options.pids, "w", encoding="ascii") as pids:
            pids.writelines(others)
        return alive
