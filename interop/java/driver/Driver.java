import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.acl.common.AclClientRPCHook;
import org.apache.rocketmq.acl.common.SessionCredentials;
import org.apache.rocketmq.client.ClientConfig;
import org.apache.rocketmq.remoting.RPCHook;

/**
 * Drives the official Java client by commands on standard input, one a line:
 * {@code ID VERB NAME KEY=VALUE …}. Every command answers {@code @ end ID} or {@code @ fail ID WHY};
 * what clients send, lose and get is told as it happens ({@link Line}). End of input stops all.
 *
 * <pre>
 * Of each client `ns=N` gives the name space, `nsv2=N` the one of the second form (5.x only).
 *
 * producer NAME namesrv=A group=G [timeout=MS] [retries=N] [trace=true] [ak=USER sk=SECRET] [poll=MS]   poll: for routes
 * send     NAME topic=T mode=sync|async|oneway|batch count=N prefix=P [tags=A,B] [size=N] [delay=L] [queue=Q] [props=K:V;…]
 *          [timer=delay:MS|sec:S|deliver:MS] [due=MS]   due: what receivers are told of the delay
 * recall   NAME topic=T handle=H                   takes back a timer message
 * flood    NAME topic=T prefix=P [threads=N] [pause=MS]   sends until `halt NAME`; tells when each was begun and ended
 * halt     NAME
 * consumer NAME namesrv=A group=G topic=T kind=concurrent|orderly|broadcast|pop|lite [tags=EXPR] [sql=EXPR] [trace=true] [ak=USER sk=SECRET]
 *          [fail=N] [retries=N] [delay=L] [poll=MS] fail: how often each message is refused
 * scan     NAME namesrv=A topic=T [sql=EXPR;…]      reads every queue from its least to its greatest offset; once per
 *          EXPR as NAME.0, NAME.1 …                 in SQL and properties `~` stands for a blank
 * query    NAME topic=T key=K [max=N] by=B          asks the brokers for messages with this key, by producer NAME
 * request  NAME topic=T count=N prefix=P mode=sync|async [timeout=MS]   tells each reply as `replied`
 * responder NAME namesrv=A group=G topic=T         answers each request; tells it as `requested`
 * transactor NAME namesrv=A group=G [answer=STATE]   STATE: commit|rollback|unknown, told when asked
 * transact NAME topic=T count=N prefix=P local=STATE [tags=A] [immunity=S]
 * answer   NAME answer=STATE
 * stop     NAME
 * </pre>
 */
public final class Driver {
    private final Map<String, Client> clients = new ConcurrentHashMap<>();

    /** A producer or consumer that has been started. */
    interface Client {
        void stop() throws Exception;
    }

    public static void main(String[] args) throws Exception {
        new Driver().serve(new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8)));
        // The clients' own threads must not keep the process alive.
        System.exit(0);
    }

    /** The official hook that signs with the command's {@code ak=} and {@code sk=}; null without. */
    static RPCHook hook(Command c) {
        String accessKey = c.get("ak", "");
        return accessKey.isEmpty() ? null : new AclClientRPCHook(new SessionCredentials(accessKey, c.get("sk")));
    }

    /** The command's `ns=` and `nsv2=`, if any. */
    @SuppressWarnings("deprecation")
    static void nameSpace(ClientConfig client, Command c) throws Exception {
        if (!c.get("ns", "").isEmpty()) {
            client.setNamespace(c.get("ns"));
        }
        if (!c.get("nsv2", "").isEmpty()) {
            ClientConfig.class.getMethod("setNamespaceV2", String.class).invoke(client, c.get("nsv2"));
        }
    }

    private void serve(BufferedReader in) throws Exception {
        Line.of("ready").print();
        for (String text = in.readLine(); text != null; text = in.readLine()) {
            Command command = Command.parse(text);
            try {
                run(command);
                Line.of("end").word(command.id).print();
            } catch (Throwable e) {
                e.printStackTrace();
                Line.of("fail").word(command.id).word(String.valueOf(e)).print();
            }
        }
        for (Client client : clients.values()) {
            client.stop();
        }
    }

    private void run(Command c) throws Exception {
        switch (c.verb) {
            case "producer":
                clients.put(c.name, new Sender(c));
                break;
            case "send":
                ((Sender) clients.get(c.name)).send(c);
                break;
            case "recall":
                ((Sender) clients.get(c.name)).recall(c);
                break;
            case "flood":
                ((Sender) clients.get(c.name)).flood(c);
                break;
            case "halt":
                ((Sender) clients.get(c.name)).halt();
                break;
            case "query":
                ((Sender) clients.get(c.name)).query(c);
                break;
            case "consumer":
                clients.put(c.name, Receiver.start(c));
                break;
            case "scan":
                Receiver.scan(c);
                break;
            case "request":
                ((Sender) clients.get(c.name)).request(c);
                break;
            case "responder":
                clients.put(c.name, new Responder(c));
                break;
            case "transactor":
                clients.put(c.name, new Transactor(c));
                break;
            case "transact":
                ((Transactor) clients.get(c.name)).send(c);
                break;
            case "answer":
                ((Transactor) clients.get(c.name)).answer(c);
                break;
            case "stop":
                clients.remove(c.name).stop();
                break;
            default:
                throw new IllegalArgumentException("no such verb: " + c.verb);
        }
    }
}
