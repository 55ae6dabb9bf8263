import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.rocketmq.client.QueryResult;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.RequestCallback;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** A producer; tells each acknowledged message as {@code sent}, each refused one as {@code lost}. */
final class Sender implements Driver.Client {
    private static final int BATCH = 10;

    private final String name;
    private final DefaultMQProducer producer;
    private final List<Thread> flood = new ArrayList<>();
    private volatile boolean flooding;

    Sender(Command c) throws Exception {
        name = c.name;
        producer = new DefaultMQProducer(c.get("group"), Driver.hook(c), c.get("trace", "").equals("true"), null);
        producer.setNamesrvAddr(c.get("namesrv"));
        producer.setInstanceName(c.name);
        producer.setSendMsgTimeout(c.number("timeout", 10_000));
        producer.setRetryTimesWhenSendFailed(c.number("retries", 2));
        producer.setPollNameServerInterval(c.number("poll", 30_000));
        Driver.nameSpace(producer, c);
        producer.start();
    }

    void send(Command c) throws Exception {
        String topic = c.get("topic");
        String mode = c.get("mode");
        int count = c.number("count", 1);
        List<Message> messages = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            messages.add(message(c, i));
        }
        int queue = c.number("queue", -1);
        MessageQueue target = null;
        if (queue >= 0) {
            for (MessageQueue q : producer.fetchPublishMessageQueues(topic)) {
                if (q.getQueueId() == queue) {
                    target = q;
                }
            }
        }
        switch (mode) {
            case "sync":
                for (Message m : messages) {
                    sent(m, target == null ? producer.send(m) : producer.send(m, target));
                }
                break;
            case "async":
                sendAsync(messages);
                break;
            case "oneway":
                for (Message m : messages) {
                    // Told first: nothing tells later whether it arrived.
                    Line.of("sent").add("by", name).add("topic", topic).body(m.getBody())
                        .add("tag", m.getTags()).print();
                    producer.sendOneway(m);
                }
                break;
            case "batch":
                for (int i = 0; i < messages.size(); i += BATCH) {
                    List<Message> batch = messages.subList(i, Math.min(i + BATCH, messages.size()));
                    SendResult result = producer.send(new ArrayList<>(batch));
                    check(result);
                    String[] ids = result.getMsgId().split(",");
                    for (int k = 0; k < batch.size(); k++) {
                        // A batch that stays one record has one id.
                        String id = ids.length == 1 ? ids[0] : ids[k];
                        sent(batch.get(k), result, result.getQueueOffset() + k, id);
                    }
                }
                break;
            default:
                throw new IllegalArgumentException("no such mode: " + mode);
        }
    }

    private void sendAsync(List<Message> messages) throws Exception {
        CountDownLatch left = new CountDownLatch(messages.size());
        AtomicReference<Throwable> failure = new AtomicReference<>();
        for (Message m : messages) {
            producer.send(m, new SendCallback() {
                @Override
                public void onSuccess(SendResult result) {
                    try {
                        sent(m, result);
                    } catch (Throwable e) {
                        failure.set(e);
                    }
                    left.countDown();
                }

                @Override
                public void onException(Throwable e) {
                    failure.set(e);
                    left.countDown();
                }
            });
        }
        left.await();
        if (failure.get() != null) {
            throw new Exception(failure.get());
        }
    }

    /** Sends requests and tells each reply. */
    void request(Command c) throws Exception {
        int timeout = c.number("timeout", 60_000);
        int count = c.number("count", 1);
        CountDownLatch left = new CountDownLatch(count);
        AtomicReference<Throwable> failure = new AtomicReference<>();
        for (int i = 0; i < count; i++) {
            Message m = message(c, i);
            if (c.get("mode").equals("sync")) {
                replied(m, producer.request(m, timeout));
                left.countDown();
                continue;
            }
            producer.request(m, new RequestCallback() {
                @Override
                public void onSuccess(Message reply) {
                    replied(m, reply);
                    left.countDown();
                }

                @Override
                public void onException(Throwable e) {
                    failure.set(e);
                    left.countDown();
                }
            }, timeout);
        }
        left.await();
        if (failure.get() != null) {
            throw new Exception(failure.get());
        }
    }

    private void replied(Message request, Message reply) {
        Line.of("replied").add("by", name).body(request.getBody())
            .add("reply", new String(reply.getBody(), StandardCharsets.UTF_8))
            .add("topic", reply.getTopic()).print();
    }

    void flood(Command c) {
        flooding = true;
        AtomicInteger next = new AtomicInteger();
        int pause = c.number("pause", 0);
        for (int i = 0; i < c.number("threads", 4); i++) {
            Thread thread = new Thread(() -> {
                while (flooding) {
                    Message m = message(c, next.getAndIncrement());
                    try {
                        long begun = Line.micros();
                        SendResult result = producer.send(m);
                        check(result);
                        sentLine(m, result, result.getQueueOffset(), result.getMsgId())
                            .add("begun", begun).add("ended", Line.micros()).print();
                        pause(pause);
                    } catch (Exception e) {
                        // What the broker said stands in the cause.
                        String why = e.getMessage() + (e.getCause() == null ? "" : " " + e.getCause().getMessage());
                        Line.of("lost").add("by", name).body(m.getBody()).add("why", why).print();
                        // Must not spin while the server is away.
                        pause(20);
                    }
                }
            });
            flood.add(thread);
            thread.start();
        }
    }

    private static void pause(int millis) {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Messages with a key, told as {@code got}; none is no failure. */
    void query(Command c) throws Exception {
        try {
            QueryResult found = producer.queryMessage(c.get("topic"), c.get("key"), c.number("max", 32), 0,
                Long.MAX_VALUE);
            for (MessageExt m : found.getMessageList()) {
                Line.of("got", c.get("by"), m).print();
            }
        } catch (MQClientException e) {
            // The classes with the codes stand in different packages in 4.x and 5.x.
            if (!String.valueOf(e.getErrorMessage()).contains("no message")) {
                throw e;
            }
        }
    }

    void halt() throws Exception {
        flooding = false;
        for (Thread thread : flood) {
            thread.join();
        }
        flood.clear();
    }

    @Override
    public void stop() throws Exception {
        halt();
        producer.shutdown();
    }

    private static Message message(Command c, int i) {
        String[] tags = c.get("tags", "").split(",");
        StringBuilder body = new StringBuilder(c.get("prefix")).append('-').append(i).append(' ');
        for (int size = c.number("size", 0); body.length() < size; ) {
            body.append((char) ('a' + body.length() % 26));
        }
        Message m = new Message(c.get("topic"), tags[i % tags.length], c.get("prefix") + "-" + i,
            body.toString().getBytes(StandardCharsets.UTF_8));
        for (String property : c.get("props", "").split(";")) {
            int colon = property.indexOf(':');
            if (colon > 0) {
                m.putUserProperty(property.substring(0, colon), Command.blanks(property.substring(colon + 1)));
            }
        }
        int delay = c.number("delay", 0);
        if (delay > 0) {
            m.setDelayTimeLevel(delay);
        }
        if (c.number("due", 0) > 0) {
            due(m, c.number("due", 0));
        }
        String[] timer = c.get("timer", "").split(":");
        if (timer.length == 2) {
            timer(m, timer[0], Long.parseLong(timer[1]));
        }
        return m;
    }

    /** Tells the receiver when the message was to come. */
    private static void due(Message m, long millis) {
        m.putUserProperty("due", String.valueOf(System.currentTimeMillis() + millis));
    }

    /** By name: the old client has none of these. */
    private static void timer(Message m, String kind, long value) {
        try {
            due(m, kind.equals("sec") ? value * 1000 : value);
            switch (kind) {
                case "delay":
                    Message.class.getMethod("setDelayTimeMs", long.class).invoke(m, value);
                    break;
                case "sec":
                    Message.class.getMethod("setDelayTimeSec", long.class).invoke(m, value);
                    break;
                case "deliver":
                    Message.class.getMethod("setDeliverTimeMs", long.class)
                        .invoke(m, Long.parseLong(m.getUserProperty("due")));
                    break;
                default:
                    throw new IllegalArgumentException("no such timer: " + kind);
            }
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Takes back a timer message. */
    void recall(Command c) throws Exception {
        Object id;
        try {
            id = DefaultMQProducer.class.getMethod("recallMessage", String.class, String.class)
                .invoke(producer, c.get("topic"), c.get("handle"));
        } catch (java.lang.reflect.InvocationTargetException e) {
            throw new Exception(e.getCause());
        }
        Line.of("recalled").add("by", name).add("id", id).print();
    }

    private static Object handle(SendResult result) {
        try {
            return SendResult.class.getMethod("getRecallHandle").invoke(result);
        } catch (ReflectiveOperationException e) {
            return null;
        }
    }

    private void sent(Message m, SendResult result) {
        check(result);
        sent(m, result, result.getQueueOffset(), result.getMsgId());
    }

    private void sent(Message m, SendResult result, long offset, String id) {
        sentLine(m, result, offset, id).print();
    }

    private Line sentLine(Message m, SendResult result, long offset, String id) {
        MessageQueue queue = result.getMessageQueue();
        return Line.of("sent").add("by", name).add("topic", m.getTopic())
            .add("broker", queue.getBrokerName()).add("queue", queue.getQueueId()).add("offset", offset)
            .body(m.getBody()).add("tag", m.getTags()).add("id", id).add("handle", handle(result));
    }

    private static void check(SendResult result) {
        if (result.getSendStatus() != SendStatus.SEND_OK) {
            throw new IllegalStateException("sent with " + result.getSendStatus());
        }
    }
}
