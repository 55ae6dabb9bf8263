import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * One line of standard output: {@code @ WORD KEY=VALUE …}. The mark in front tells it from what the
 * libraries print.
 */
final class Line {
    private static final long WALL = System.currentTimeMillis() * 1000;
    private static final long STARTED = System.nanoTime();

    private final StringBuilder text = new StringBuilder("@");

    /** Microseconds since the epoch by a clock that nobody sets back. */
    static long micros() {
        return WALL + (System.nanoTime() - STARTED) / 1000;
    }

    static Line of(String word) {
        return new Line().word(word);
    }

    /** A message that a consumer was handed. */
    static Line of(String word, String by, MessageExt m) {
        return of(word).add("by", by).add("topic", m.getTopic()).add("queue", m.getQueueId())
            .add("offset", m.getQueueOffset()).body(m.getBody()).add("tag", m.getTags())
            .add("times", m.getReconsumeTimes()).add("id", m.getMsgId())
            .add("stored", m.getStoreTimestamp()).add("due", m.getUserProperty("due"))
            .add("place", MessageDecoder.createMessageId(m.getStoreHost(), m.getCommitLogOffset()));
    }

    Line word(String word) {
        text.append(' ').append(word.replace('\n', ' '));
        return this;
    }

    Line add(String key, Object value) {
        text.append(' ').append(key).append('=').append(String.valueOf(value).replaceAll("\\s", "_"));
        return this;
    }

    /** The body's first word, its length and its CRC-32: enough to know it again. */
    Line body(byte[] body) {
        CRC32 crc = new CRC32();
        crc.update(body, 0, body.length);
        String first = new String(body, StandardCharsets.UTF_8).split(" ", 2)[0];
        return add("body", first).add("size", body.length).add("crc", crc.getValue());
    }

    void print() {
        synchronized (System.out) {
            System.out.println(text);
            System.out.flush();
        }
    }
}
