"""Drives the Python client `rocketmq` (Apache's C++ client inside) by commands on standard input.

The language is that of ../java/driver/Driver.java: producer, send (sync, oneway, ordered),
consumer (concurrent, orderly, broadcast), stop. An acknowledged message is told without its queue: the
client does not know it.
"""

import os
import sys
import threading
import time
import zlib

from rocketmq.client import Message, Producer, PushConsumer
from rocketmq.ffi import MessageModel, dll

lock = threading.Lock()
# Callbacks and the results of asynchronous sends come from the client's own threads.
out = os.fdopen(os.dup(1), "w")
# The library writes to standard output as well.
os.dup2(2, 1)


def tell(line):
    with lock:
        out.write("@ " + line + "\n")
        out.flush()


def shown(body):
    first = body.split(b" ")[0].decode()
    return f"body={first} size={len(body)} crc={zlib.crc32(body)}"


class Sender:
    def __init__(self, name, values):
        self.name = name
        self.producer = Producer(values["group"], timeout=int(values.get("timeout", 10000)))
        self.producer.set_namesrv_addr(values["namesrv"])
        if "ak" in values:
            self.producer.set_session_credentials(values["ak"], values["sk"], "interop")
        # Its name is part of the client's id; the wrapper has no method for it.
        dll.SetProducerInstanceName(self.producer._handle, name.encode())
        self.producer.start()

    def send(self, values):
        tags = values.get("tags", "").split(",")
        prefix, size, topic = values["prefix"], int(values.get("size", 0)), values["topic"]
        messages, told = [], []
        for i in range(int(values["count"])):
            body = f"{prefix}-{i}".encode()
            if len(body) < size:
                body += b" " + b"x" * (size - len(body) - 1)
            tag = tags[i % len(tags)]
            message = Message(topic)
            message.set_body(body)
            if tag:
                message.set_tags(tag)
            messages.append(message)
            told.append(f"sent by={self.name} topic={topic} {shown(body)} tag={tag}")
        getattr(self, values["mode"])(messages, told)

    def sync(self, messages, told):
        for message, line in zip(messages, told):
            result = self.producer.send_sync(message)
            assert result.status == 0, result
            tell(line)

    def ordered(self, messages, told):
        for n, (message, line) in enumerate(zip(messages, told)):
            result = self.producer.send_orderly(message, n)
            assert result.status == 0, result
            tell(line)

    def oneway(self, messages, told):
        for message, line in zip(messages, told):
            tell(line)
            self.producer.send_oneway(message)

    def stop(self):
        self.producer.shutdown()


class Receiver:
    def __init__(self, name, values):
        self.name = name
        model = MessageModel.BROADCASTING if values["kind"] == "broadcast" else MessageModel.CLUSTERING
        self.consumer = PushConsumer(values["group"], values["kind"] == "orderly", model)
        self.consumer.set_instance_name(name)
        self.consumer.set_namesrv_addr(values["namesrv"])
        if "ak" in values:
            self.consumer.set_session_credentials(values["ak"], values["sk"], "interop")
        self.refusals = int(values.get("fail", 0))
        self.consumer.subscribe(values["topic"], self.receive, values.get("tags", "*"))
        self.consumer.start()

    def receive(self, m):
        tag = (m.tags or b"").decode()
        line = (
            f"by={self.name} topic={m.topic} queue={m.queue_id} offset={m.queue_offset} "
            f"{shown(m.body)} tag={tag} times={m.reconsume_times} id={m.id}"
        )
        if m.reconsume_times < self.refusals:
            tell("refused " + line)
            # The wrapper takes an exception for RECONSUME_LATER.
            raise ValueError("refused")
        tell("got " + line)

    def stop(self):
        self.consumer.shutdown()


def main():
    clients = {}
    tell("ready")
    for line in sys.stdin:
        ident, verb, name, *words = line.split()
        values = dict(word.split("=", 1) for word in words)
        try:
            if verb == "producer":
                clients[name] = Sender(name, values)
            elif verb == "send":
                clients[name].send(values)
            elif verb == "consumer":
                clients[name] = Receiver(name, values)
            elif verb == "stop":
                clients.pop(name).stop()
            else:
                raise ValueError(f"no such verb: {verb}")
            tell(f"end {ident}")
        except Exception as e:
            tell(f"fail {ident} " + repr(e).replace("\n", " "))
    # The library's threads and destructors do not end in order.
    os._exit(0)


main()
