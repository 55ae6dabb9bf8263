import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragely;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Consumers; each message handed to one is told as {@code got}, a refused one as {@code refused}. */
@SuppressWarnings("deprecation")
final class Receiver {
    private Receiver() {
    }

    static Driver.Client start(Command c) throws Exception {
        return c.get("kind").equals("lite") ? lite(c) : push(c);
    }

    private static Driver.Client push(Command c) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(c.get("group"), Driver.hook(c),
            new AllocateMessageQueueAveragely(), c.get("trace", "").equals("true"), null);
        consumer.setNamesrvAddr(c.get("namesrv"));
        consumer.setInstanceName(c.name);
        consumer.setPollNameServerInterval(c.number("poll", 30_000));
        Driver.nameSpace(consumer, c);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setConsumeThreadMin(4);
        consumer.setConsumeThreadMax(4);
        consumer.setMaxReconsumeTimes(c.number("retries", -1));
        // A message refused right before the end is sent back still.
        consumer.setAwaitTerminationMillisWhenShutdown(5000);
        consumer.subscribe(c.get("topic"), selector(c));
        int refusals = c.number("fail", 0);
        int delay = c.number("delay", 0);
        switch (c.get("kind")) {
            case "broadcast":
                // Through the value: the enum stands in different packages in 4.x and 5.x.
                consumer.setMessageModel(consumer.getMessageModel().valueOf("BROADCASTING"));
                // fall through
            case "pop":
                if (c.get("kind").equals("pop")) {
                    // The broker assigns queues, and says whether they are popped. Only 5.x can.
                    consumer.getClass().getMethod("setClientRebalance", boolean.class)
                        .invoke(consumer, false);
                }
                // fall through
            case "concurrent":
                consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
                    for (MessageExt m : messages) {
                        if (m.getReconsumeTimes() < refusals) {
                            tell("refused", c, m);
                            context.setDelayLevelWhenNextConsume(delay);
                            return ConsumeConcurrentlyStatus.RECONSUME_LATER;
                        }
                        tell("got", c, m);
                    }
                    return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
                });
                break;
            case "orderly":
                consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
                    for (MessageExt m : messages) {
                        tell("got", c, m);
                    }
                    return ConsumeOrderlyStatus.SUCCESS;
                });
                break;
            default:
                throw new IllegalArgumentException("no such kind: " + c.get("kind"));
        }
        consumer.start();
        return consumer::shutdown;
    }

    private static Driver.Client lite(Command c) throws Exception {
        DefaultLitePullConsumer consumer = new DefaultLitePullConsumer(c.get("group"), Driver.hook(c));
        consumer.setNamesrvAddr(c.get("namesrv"));
        consumer.setInstanceName(c.name);
        Driver.nameSpace(consumer, c);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(c.get("topic"), selector(c));
        consumer.start();
        AtomicBoolean stopped = new AtomicBoolean();
        Thread poller = new Thread(() -> {
            while (!stopped.get()) {
                for (MessageExt m : consumer.poll(500)) {
                    tell("got", c, m);
                }
            }
        });
        poller.start();
        return () -> {
            stopped.set(true);
            poller.join();
            consumer.shutdown();
        };
    }

    private static MessageSelector selector(Command c) {
        String sql = c.get("sql", "");
        return sql.isEmpty() ? MessageSelector.byTag(c.get("tags", "*")) : MessageSelector.bySql(Command.blanks(sql));
    }

    static void scan(Command c) throws Exception {
        DefaultMQPullConsumer consumer = new DefaultMQPullConsumer(c.get("group", "scan"));
        consumer.setNamesrvAddr(c.get("namesrv"));
        consumer.setInstanceName(c.name);
        consumer.start();
        try {
            String sql = c.get("sql", "");
            if (sql.isEmpty()) {
                scan(consumer, c.get("topic"), MessageSelector.byTag(c.get("tags", "*")), c.name);
            } else {
                String[] expressions = sql.split(";");
                for (int i = 0; i < expressions.length; i++) {
                    MessageSelector selector = MessageSelector.bySql(Command.blanks(expressions[i]));
                    scan(consumer, c.get("topic"), selector, c.name + "." + i);
                }
            }
        } finally {
            consumer.shutdown();
        }
    }

    private static void scan(DefaultMQPullConsumer consumer, String topic, MessageSelector selector, String by)
        throws Exception {
        for (MessageQueue queue : consumer.fetchSubscribeMessageQueues(topic)) {
            long offset = consumer.minOffset(queue);
            long end = consumer.maxOffset(queue);
            Line.of("range").add("by", by).add("queue", queue.getQueueId()).add("min", offset).add("max", end).print();
            while (offset < end) {
                PullResult result = pull(consumer, queue, selector, offset);
                if (result.getPullStatus() == PullStatus.FOUND) {
                    for (MessageExt m : result.getMsgFoundList()) {
                        Line.of("got", by, m).add("broker", queue.getBrokerName()).print();
                    }
                }
                if (result.getNextBeginOffset() <= offset) {
                    throw new IllegalStateException(queue + " at " + offset + ": " + result);
                }
                offset = result.getNextBeginOffset();
            }
        }
    }

    /** The client refuses SQL until its first heartbeat has told it the broker's version. */
    private static PullResult pull(DefaultMQPullConsumer consumer, MessageQueue queue, MessageSelector selector,
        long offset) throws Exception {
        for (int left = 200; ; left--) {
            try {
                return consumer.pull(queue, selector, offset, 32);
            } catch (MQClientException e) {
                if (left == 0 || !String.valueOf(e.getMessage()).contains("does not upgrade")) {
                    throw e;
                }
                Thread.sleep(50);
            }
        }
    }

    private static void tell(String word, Command c, MessageExt m) {
        Line.of(word, c.name, m).print();
    }
}
