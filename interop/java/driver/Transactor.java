import java.nio.charset.StandardCharsets;
import java.util.Locale;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.client.producer.TransactionSendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * A transaction producer: tells each half message as {@code half}, each question of the server about
 * one as {@code asked}.
 */
final class Transactor implements Driver.Client {
    private final String name;
    private final TransactionMQProducer producer;
    private volatile LocalTransactionState answer;

    Transactor(Command c) throws Exception {
        name = c.name;
        producer = new TransactionMQProducer(c.get("group"));
        producer.setNamesrvAddr(c.get("namesrv"));
        producer.setInstanceName(c.name);
        producer.setSendMsgTimeout(10_000);
        answer(c);
        producer.setTransactionListener(new TransactionListener() {
            @Override
            public LocalTransactionState executeLocalTransaction(Message m, Object local) {
                return (LocalTransactionState) local;
            }

            @Override
            public LocalTransactionState checkLocalTransaction(MessageExt m) {
                LocalTransactionState told = answer;
                Line.of("asked", name, m).add("tx", m.getTransactionId())
                    .add("checks", m.getUserProperty("TRANSACTION_CHECK_TIMES"))
                    .add("answer", told).print();
                return told;
            }
        });
        Driver.nameSpace(producer, c);
        producer.start();
    }

    /** What the server is told from now on when it asks. */
    void answer(Command c) {
        answer = state(c.get("answer", "unknown"));
    }

    void send(Command c) throws Exception {
        LocalTransactionState local = state(c.get("local"));
        for (int i = 0; i < c.number("count", 1); i++) {
            String key = c.get("prefix") + "-" + i;
            Message m = new Message(c.get("topic"), c.get("tags", "A"), key,
                (key + " transaction").getBytes(StandardCharsets.UTF_8));
            m.putUserProperty("mine", key);
            int immunity = c.number("immunity", 0);
            if (immunity > 0) {
                m.putUserProperty("CHECK_IMMUNITY_TIME_IN_SECONDS", String.valueOf(immunity));
            }
            TransactionSendResult result = producer.sendMessageInTransaction(m, local);
            Line.of("half").add("by", name).add("topic", m.getTopic())
                .add("queue", result.getMessageQueue().getQueueId())
                .add("offset", result.getQueueOffset()).body(m.getBody()).add("tag", m.getTags())
                .add("id", result.getOffsetMsgId()).add("tx", result.getTransactionId())
                .add("status", result.getSendStatus()).print();
        }
    }

    @Override
    public void stop() {
        producer.shutdown();
    }

    private static LocalTransactionState state(String word) {
        switch (word) {
            case "commit":
                return LocalTransactionState.COMMIT_MESSAGE;
            case "rollback":
                return LocalTransactionState.ROLLBACK_MESSAGE;
            case "unknown":
                return LocalTransactionState.UNKNOW;
            default:
                throw new IllegalArgumentException("no such state: " + word.toUpperCase(Locale.ROOT));
        }
    }
}
