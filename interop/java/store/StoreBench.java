import java.io.File;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.apache.rocketmq.common.BrokerConfig;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExtBrokerInner;
import org.apache.rocketmq.store.DefaultMessageStore;
import org.apache.rocketmq.store.GetMessageResult;
import org.apache.rocketmq.store.PutMessageResult;
import org.apache.rocketmq.store.PutMessageStatus;
import org.apache.rocketmq.store.config.FlushDiskType;
import org.apache.rocketmq.store.config.MessageStoreConfig;
import org.apache.rocketmq.store.stats.BrokerStatsManager;

/**
 * The Java broker's store without a broker, measured as {@code skua bench store} measures Skua's:
 * the same bodies, properties, queues, writers and ends of a run, and the same JSON.
 *
 * <pre>
 * bench DIR SECONDS MIB WARM_UP_SECONDS SIZES WRITERS TOUCH_MIB   appends and reads; lists with commas
 * fill  DIR MIB                                                   that much of 1 KiB messages, then as kill -9
 * </pre>
 */
public final class StoreBench {
    private static final String TOPIC = "SkuaBenchStore";
    private static final int QUEUES = 8;
    private static final int READ_BODY = 1024;
    private static final InetSocketAddress HOST = new InetSocketAddress("127.0.0.1", 10911);
    /** Most threads that append. */
    private static final int THREADS = 2;
    private static final AtomicInteger FOLDERS = new AtomicInteger();

    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "bench":
                bench(args);
                break;
            case "fill":
                fill(args);
                break;
            default:
                throw new IllegalArgumentException("no such command: " + args[0]);
        }
        // The store leaves threads behind.
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    private static DefaultMessageStore open(Path root, FlushDiskType flush, int logFile) throws Exception {
        MessageStoreConfig config = new MessageStoreConfig();
        config.setStorePathRootDir(root.toString());
        config.setStorePathCommitLog(root.resolve("commitlog").toString());
        config.setMappedFileSizeCommitLog(logFile);
        config.setFlushDiskType(flush);
        config.setHaListenPort(0);
        config.setDiskMaxUsedSpaceRatio(99);
        config.setTimerWheelEnable(false);
        BrokerConfig broker = new BrokerConfig();
        DefaultMessageStore store = new DefaultMessageStore(config, new BrokerStatsManager("bench", true),
            (topic, queue, offset, tags, time, bits, properties) -> { }, broker, new ConcurrentHashMap<>());
        if (!store.load()) {
            throw new IllegalStateException("the store does not load: " + root);
        }
        store.start();
        return store;
    }

    private static byte[] body(int length) {
        byte[] body = new byte[length];
        for (int n = 0; n < length; n++) {
            body[n] = (byte) ('a' + n * 7 % 26);
        }
        return body;
    }

    private static MessageExtBrokerInner message(int queue, byte[] body) {
        MessageExtBrokerInner m = new MessageExtBrokerInner();
        m.setTopic(TOPIC);
        m.setQueueId(queue);
        m.setBody(body);
        m.setBornTimestamp(System.currentTimeMillis());
        m.setBornHost(HOST);
        m.setStoreHost(HOST);
        m.setWaitStoreMsgOK(true);
        m.getProperties().put("UNIQ_KEY", "7F0000010000000000000000000000025000");
        m.getProperties().put("WAIT", "true");
        m.getProperties().put("TAGS", "TagA");
        m.setPropertiesString(MessageDecoder.messageProperties2String(m.getProperties()));
        return m;
    }

    private static long put(DefaultMessageStore store, int queue, byte[] body) {
        return check(store.putMessage(message(queue, body)));
    }

    private static long check(PutMessageResult result) {
        if (result.getPutMessageStatus() != PutMessageStatus.PUT_OK) {
            throw new IllegalStateException("not stored: " + result.getPutMessageStatus());
        }
        return result.getAppendMessageResult().getWroteBytes();
    }

    private static void bench(String[] args) throws Exception {
        Path dir = Path.of(args[1]);
        double seconds = Double.parseDouble(args[2]);
        long most = Long.parseLong(args[3]) << 20;
        double warmUp = Double.parseDouble(args[4]);
        if (warmUp > 0) {
            System.err.println("Java: warm-up");
            append(dir, 1024, 16, false, warmUp, most);
        }
        List<String> appends = new ArrayList<>();
        for (String size : args[5].split(",")) {
            for (String writers : args[6].split(",")) {
                for (boolean sync : new boolean[] {false, true}) {
                    System.err.println("Java: bodies of " + size + " bytes: " + writers + " writers, sync " + sync);
                    touch(dir, Integer.parseInt(args[7]));
                    appends.add(append(dir, Integer.parseInt(size), Integer.parseInt(writers), sync, seconds, most));
                }
            }
        }
        System.err.println("Java: reads");
        System.out.println("{\"appends\":[" + String.join(",", appends) + "],\"reads\":["
            + String.join(",", reads(dir, seconds, most)) + "]}");
    }

    private static Path folder(Path dir) throws Exception {
        Path folder = dir.resolve("java-store-" + ProcessHandle.current().pid() + "-" + FOLDERS.getAndIncrement());
        Files.createDirectories(folder);
        return folder;
    }

    private static void delete(Path folder) throws Exception {
        try (Stream<Path> all = Files.walk(folder)) {
            all.sorted(Comparator.reverseOrder()).map(Path::toFile).forEach(File::delete);
        }
    }

    /** Memory that is filled and given free again, as before each figure of {@code skua bench store}. */
    private static void touch(Path dir, int mib) throws Exception {
        Path file = dir.resolve("java-store-touched-" + ProcessHandle.current().pid());
        byte[] chunk = new byte[1 << 20];
        try (OutputStream out = Files.newOutputStream(file)) {
            for (int n = 0; n < mib; n++) {
                out.write(chunk);
            }
        }
        Files.delete(file);
    }

    private static String append(Path dir, int size, int writers, boolean sync, double seconds, long most)
        throws Exception {
        Path folder = folder(dir);
        DefaultMessageStore store =
            open(folder, sync ? FlushDiskType.SYNC_FLUSH : FlushDiskType.ASYNC_FLUSH, 1 << 30);
        byte[] body = body(size);
        // The first file is made before the clock runs.
        long length = put(store, 0, body);
        AtomicLong count = new AtomicLong();
        long started = System.nanoTime();
        long end = started + (long) (seconds * 1e9);
        List<Thread> threads = new ArrayList<>();
        AtomicInteger failed = new AtomicInteger();
        int sharers = Math.min(writers, THREADS);
        for (int nth = 0; nth < sharers; nth++) {
            int first = nth;
            int share = (writers + nth) / sharers;
            Thread thread = new Thread(() -> {
                try {
                    int queue = first;
                    ArrayDeque<CompletableFuture<PutMessageResult>> inFlight = new ArrayDeque<>();
                    while (System.nanoTime() < end && count.get() * length < most) {
                        int free = share - inFlight.size();
                        for (int i = 0; i < free; i++) {
                            queue = (queue + 1) % QUEUES;
                            inFlight.add(store.asyncPutMessage(message(queue, body)));
                        }
                        count.addAndGet(free);
                        check(inFlight.poll().join());
                        while (!inFlight.isEmpty() && inFlight.peek().isDone()) {
                            check(inFlight.poll().join());
                        }
                    }
                    for (CompletableFuture<PutMessageResult> last : inFlight) {
                        check(last.join());
                    }
                } catch (RuntimeException e) {
                    e.printStackTrace();
                    failed.incrementAndGet();
                }
            });
            threads.add(thread);
            thread.start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        double took = (System.nanoTime() - started) / 1e9;
        if (failed.get() > 0) {
            throw new IllegalStateException(failed + " writers failed");
        }
        store.shutdown();
        delete(folder);
        return String.format(Locale.ROOT,
            "{\"bodyBytes\":%d,\"writers\":%d,\"sync\":%b,\"perSecond\":%f,\"bytesPerSecond\":%f}", size, writers, sync,
            count.get() / took, count.get() * length / took);
    }

    private static List<String> reads(Path dir, double seconds, long most) throws Exception {
        Path folder = folder(dir);
        DefaultMessageStore store = open(folder, FlushDiskType.ASYNC_FLUSH, 1 << 30);
        byte[] body = body(READ_BODY);
        long length = put(store, 0, body);
        long each = Math.max(most / 2 / length / QUEUES, 64);
        for (long nth = 0; nth < each; nth++) {
            for (int queue = nth == 0 ? 1 : 0; queue < QUEUES; queue++) {
                put(store, queue, body);
            }
        }
        while (store.dispatchBehindBytes() > 0) {
            Thread.sleep(10);
        }
        List<String> reads = new ArrayList<>();
        for (boolean random : new boolean[] {false, true}) {
            for (boolean cold : new boolean[] {true, false}) {
                if (cold) {
                    // What is mapped stays in memory.
                    store.shutdown();
                    forgetCache(folder);
                    store = open(folder, FlushDiskType.ASYNC_FLUSH, 1 << 30);
                }
                reads.add(random ? random(store, each, cold, seconds) : sequential(store, each, cold));
            }
        }
        store.shutdown();
        delete(folder);
        return reads;
    }

    private static String sequential(DefaultMessageStore store, long each, boolean cold) {
        long[] next = new long[QUEUES];
        long[] read = new long[2];
        long started = System.nanoTime();
        for (boolean more = true; more; ) {
            more = false;
            for (int queue = 0; queue < QUEUES; queue++) {
                if (next[queue] < each) {
                    next[queue] = read(store, queue, next[queue], 32, read);
                    more = true;
                }
            }
        }
        if (read[0] != each * QUEUES) {
            throw new IllegalStateException(read[0] + " read of " + each * QUEUES);
        }
        return rate(false, cold, read, started);
    }

    private static String random(DefaultMessageStore store, long each, boolean cold, double seconds) {
        long[] read = new long[2];
        long state = 1;
        long started = System.nanoTime();
        while (System.nanoTime() < started + (long) (seconds * 1e9)) {
            state = state * 6364136223846793005L + 1442695040888963407L;
            int queue = (int) ((state >>> 33) % QUEUES);
            read(store, queue, (state >>> 20) % each, 1, read);
        }
        return rate(true, cold, read, started);
    }

    /** Copies the messages out, as a broker does for an answer; returns where to go on. */
    private static long read(DefaultMessageStore store, int queue, long offset, int most, long[] into) {
        GetMessageResult result = store.getMessage("bench", TOPIC, queue, offset, most, null);
        try {
            for (ByteBuffer buffer : result.getMessageBufferList()) {
                byte[] copy = new byte[buffer.remaining()];
                buffer.get(copy);
                into[1] += copy.length;
            }
            into[0] += result.getMessageCount();
            if (result.getNextBeginOffset() <= offset) {
                throw new IllegalStateException("at " + offset + ": " + result.getStatus());
            }
            return result.getNextBeginOffset();
        } finally {
            result.release();
        }
    }

    private static String rate(boolean random, boolean cold, long[] read, long started) {
        double took = (System.nanoTime() - started) / 1e9;
        return String.format(Locale.ROOT, "{\"random\":%b,\"cold\":%b,\"perSecond\":%f,\"bytesPerSecond\":%f}", random,
            cold, read[0] / took, read[1] / took);
    }

    /** Puts the files out of the page cache, as far as the system does. */
    private static void forgetCache(Path folder) throws Exception {
        List<Path> files;
        try (Stream<Path> all = Files.walk(folder)) {
            files = all.filter(Files::isRegularFile).toList();
        }
        for (Path file : files) {
            new ProcessBuilder("dd", "of=" + file, "oflag=nocache", "conv=notrunc,fdatasync", "count=0", "status=none")
                .redirectInput(new File("/dev/null")).inheritIO().start().waitFor();
        }
    }

    private static void fill(String[] args) throws Exception {
        DefaultMessageStore store = open(Path.of(args[1]), FlushDiskType.ASYNC_FLUSH, 64 << 20);
        byte[] body = body(READ_BODY);
        long left = Long.parseLong(args[2]) << 20;
        for (int queue = 0; left > 0; queue++) {
            left -= put(store, queue % QUEUES, body);
        }
        while (store.dispatchBehindBytes() > 0) {
            Thread.sleep(10);
        }
    }
}
