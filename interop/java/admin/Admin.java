import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/**
 * Runs commands of the unmodified mqadmin one after another in one JVM, whose start is most of what
 * a command costs. A line of input is a command, its arguments separated by tabs; a line of output
 * is milliseconds, standard output and error output, the latter two in base 64.
 *
 * Not for help or wrong usage: mqadmin ends the JVM after both.
 */
public class Admin {
    public static void main(String[] arguments) throws Exception {
        PrintStream out = System.out;
        PrintStream err = System.err;
        // Commands keep clients that they have shut down; with an empty list each is made anew.
        Field field = MQAdminStartup.class.getDeclaredField("SUB_COMMANDS");
        field.setAccessible(true);
        List<?> commands = (List<?>) field.get(null);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            ByteArrayOutputStream toOut = new ByteArrayOutputStream();
            ByteArrayOutputStream toErr = new ByteArrayOutputStream();
            System.setOut(new PrintStream(toOut, true, "UTF-8"));
            System.setErr(new PrintStream(toErr, true, "UTF-8"));
            // What an earlier command left must not reach the next one.
            System.clearProperty("rocketmq.namesrv.addr");
            commands.clear();
            long begun = System.nanoTime();
            try {
                MQAdminStartup.main0(line.split("\t"), null);
            } finally {
                System.out.flush();
                System.err.flush();
                System.setOut(out);
                System.setErr(err);
            }
            long ms = (System.nanoTime() - begun) / 1_000_000;
            out.println(ms + " " + text(toOut) + " " + text(toErr));
            out.flush();
        }
        // Some of its threads would stay.
        System.exit(0);
    }

    private static String text(ByteArrayOutputStream bytes) {
        return "=" + Base64.getEncoder().encodeToString(bytes.toByteArray());
    }
}
