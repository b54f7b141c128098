"""A TCP proxy on loopback between live replicas and their upstream, which harms what it carries.

Each connection gets a behaviour drawn from the seed: straight, slow, cut after some bytes, cut in the middle of a
byte run that it first truncates, a run of bytes sent twice, a stall. What is harmed must never be believed by who
receives it.
"""
import random
import select
import socket
import threading

HARMLESS = ["straight", "straight", "straight"]
BEHAVIOURS = [*HARMLESS, "slow", "cut", "lose", "double", "flip", "stall"]
STALL_S = 2.0


class FaultProxy:
    def __init__(self, target_port, seed):
        self.target_port = target_port
        self.random = random.Random(seed)
        self.is_calm = False  # from here on everything goes straight
        self.is_down = False
        self.counts = {}
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open = set()
        self.lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_all(self):
        with self.lock:
            for connection in self.open:
                self._shut(connection)

    @staticmethod
    def _shut(connection):
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _accept(self):
        while True:
            client, _ = self.listener.accept()
            if self.is_down:
                client.close()
                continue
            behaviour = "straight" if self.is_calm else self.random.choice(BEHAVIOURS)
            self.counts[behaviour] = self.counts.get(behaviour, 0) + 1
            limit = self.random.choice([50, 5_000, 200_000, 2_000_000])
            threading.Thread(target=self._carry, args=(client, behaviour, limit), daemon=True).start()

    def _carry(self, client, behaviour, limit):
        try:
            upstream = socket.create_connection(("127.0.0.1", self.target_port), 5)
        except OSError:
            client.close()
            return
        with self.lock:
            self.open |= {client, upstream}
        try:
            self._pump(client, upstream, behaviour, limit)
        except OSError:
            pass
        finally:
            with self.lock:
                self.open -= {client, upstream}
            client.close()
            upstream.close()

    def _pump(self, client, upstream, behaviour, limit):
        carried = 0
        idle = threading.Event()
        while True:
            readable, _, _ = select.select([client, upstream], [], [], 60)
            if not readable:
                return
            for side in readable:
                data = side.recv(1 if behaviour == "slow" and carried < 300 else 65536)
                if not data:
                    return
                if side is client:
                    upstream.sendall(data)
                    continue
                carried += len(data)
                if behaviour != "straight" and behaviour != "slow" and carried > limit and not self.is_calm:
                    data = self._harm(data, behaviour, idle)
                    limit = float("inf")
                    if data is None:
                        return
                client.sendall(data)

    @staticmethod
    def _harm(data, behaviour, idle):
        if behaviour == "cut":
            return None
        if behaviour == "lose":
            return data[:len(data) // 3] + data[len(data) // 2:]
        if behaviour == "double":
            return data + data[len(data) // 2:]
        if behaviour == "flip":
            at = len(data) // 2
            return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1:]
        idle.wait(STALL_S)
        return data
