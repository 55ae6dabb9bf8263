"""Drives the Python client `rocketmq` (Apache's C++ client inside) by commands on standard input.

The language is that of ../java/driver/Driver.java: producer, send (sync, oneway, ordered), flood, halt,
consumer (concurrent, orderly, broadcast), stop. An acknowledged message is told without its queue: the
client does not know it.
"""

import itertools
import os
import sys
import threading
import time
import zlib

from rocketmq.client import Message, Producer, PushConsumer, RecvMessage
from rocketmq.exceptions import ffi_check
from rocketmq.ffi import MessageModel, dll

CONSUME_SUCCESS, RECONSUME_LATER = 0, 1

lock = threading.Lock()
# Callbacks and the results of asynchronous sends come from the client's own threads.
out = os.fdopen(os.dup(1), "w")
# The library writes to standard output as well.
os.dup2(2, 1)


def tell(line):
    with lock:
        out.write("@ " + line + "\n")
        out.flush()


def one_word(text):
    return "_".join(str(text).split())


def shown(body):
    first = body.split(b" ")[0].decode()
    return f"body={first} size={len(body)} crc={zlib.crc32(body)}"


def millis():
    return time.time_ns() // 1_000_000


def timer(message, kind, value):
    """Delays by the properties: the client has no methods for them."""
    due = millis() + int(value) * (1000 if kind == "sec" else 1)
    message.set_property("due", str(due))
    if kind == "deliver":
        message.set_property("TIMER_DELIVER_MS", str(due))
    else:
        message.set_property({"delay": "TIMER_DELAY_MS", "sec": "TIMER_DELAY_SEC"}[kind], value)


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
        self.flooding, self.flooded = False, []

    def message(self, values, i):
        """The message, and what is told of it."""
        tags = values.get("tags", "").split(",")
        prefix, size, topic = values["prefix"], int(values.get("size", 0)), values["topic"]
        body = f"{prefix}-{i}".encode()
        if len(body) < size:
            body += b" " + b"x" * (size - len(body) - 1)
        tag = tags[i % len(tags)]
        message = Message(topic)
        message.set_body(body)
        if tag:
            message.set_tags(tag)
        if "delay" in values:
            message.set_delay_time_level(int(values["delay"]))
        if "due" in values:
            message.set_property("due", str(millis() + int(values["due"])))
        if "timer" in values:
            timer(message, *values["timer"].split(":"))
        return message, f"by={self.name} topic={topic} {shown(body)} tag={tag}"

    def send(self, values):
        for i in range(int(values["count"])):
            message, told = self.message(values, i)
            getattr(self, values["mode"])(message, "sent " + told, i)

    def flood(self, values):
        self.flooding = True
        numbers, pause = itertools.count(), int(values.get("pause", 0)) / 1000

        def run():
            while self.flooding:
                message, told = self.message(values, next(numbers))
                try:
                    self.sync(message, "sent " + told, 0)
                except Exception as e:
                    tell(f"lost {told} why={one_word(e)}")
                    # Must not spin while the server is away.
                    time.sleep(0.02)
                time.sleep(pause)

        self.flooded = [threading.Thread(target=run) for _ in range(int(values.get("threads", 1)))]
        for thread in self.flooded:
            thread.start()

    def halt(self):
        self.flooding = False
        for thread in self.flooded:
            thread.join()
        self.flooded = []

    def sync(self, message, told, _):
        result = self.producer.send_sync(message)
        assert result.status == 0, result
        tell(told)

    def ordered(self, message, told, i):
        result = self.producer.send_orderly(message, i)
        assert result.status == 0, result
        tell(told)

    def oneway(self, message, told, _):
        # Told first: nothing tells later whether it arrived.
        tell(told)
        self.producer.send_oneway(message)

    def stop(self):
        self.halt()
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
        # Or the rest of a batch is refused with the first.
        self.consumer.set_message_batch_max_size(1)
        # Not by the wrapper's `subscribe`: with it an exception is the only way to refuse a message,
        # and what the library then gets for an answer is not defined.
        topic, tags = values["topic"].encode(), values.get("tags", "*").encode()
        ffi_check(dll.Subscribe(self.consumer._handle, topic, tags))
        self.consumer._register_callback(self.receive)
        self.consumer.start()

    def receive(self, _, handle):
        m = RecvMessage(handle)
        tag = (m.tags or b"").decode()
        line = (
            f"by={self.name} topic={m.topic} queue={m.queue_id} offset={m.queue_offset} "
            f"{shown(m.body)} tag={tag} times={m.reconsume_times} id={m.id} "
            f"stored={m.store_timestamp} due={(m.get_property('due') or b'').decode()}"
        )
        if m.reconsume_times < self.refusals:
            tell("refused " + line)
            return RECONSUME_LATER
        tell("got " + line)
        return CONSUME_SUCCESS

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
            elif verb == "flood":
                clients[name].flood(values)
            elif verb == "halt":
                clients[name].halt()
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
