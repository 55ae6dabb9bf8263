import java.nio.charset.StandardCharsets;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Answers each request message with its body and {@code " replied"}. */
final class Responder implements Driver.Client {
    private final DefaultMQPushConsumer consumer;
    private final DefaultMQProducer producer;

    Responder(Command c) throws Exception {
        producer = new DefaultMQProducer(c.get("group") + "-replies");
        producer.setNamesrvAddr(c.get("namesrv"));
        producer.setInstanceName(c.name + "-replies");
        producer.setSendMsgTimeout(10_000);
        Driver.nameSpace(producer, c);
        producer.start();
        consumer = new DefaultMQPushConsumer(c.get("group"));
        consumer.setNamesrvAddr(c.get("namesrv"));
        consumer.setInstanceName(c.name);
        Driver.nameSpace(consumer, c);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(c.get("topic"), "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            for (MessageExt m : messages) {
                Line.of("requested", c.name, m).print();
                if (m.getProperty("CORRELATION_ID") == null) {
                    continue;
                }
                try {
                    String body = new String(m.getBody(), StandardCharsets.UTF_8) + " replied";
                    Message reply = MessageUtil.createReplyMessage(m, body.getBytes(StandardCharsets.UTF_8));
                    Line.of("answered").add("by", c.name).body(m.getBody())
                        .add("status", producer.send(reply, 10_000).getSendStatus()).print();
                } catch (Exception e) {
                    Line.of("unanswered").add("by", c.name).body(m.getBody()).add("why", e.getMessage()).print();
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
    }

    @Override
    public void stop() {
        consumer.shutdown();
        producer.shutdown();
    }
}
