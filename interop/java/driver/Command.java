import java.util.HashMap;
import java.util.Map;

/** One line of standard input: {@code ID VERB NAME KEY=VALUE …}. */
final class Command {
    final String id;
    final String verb;
    final String name;
    private final Map<String, String> values = new HashMap<>();

    private Command(String[] words) {
        id = words[0];
        verb = words[1];
        name = words[2];
        for (int i = 3; i < words.length; i++) {
            int equals = words[i].indexOf('=');
            values.put(words[i].substring(0, equals), words[i].substring(equals + 1));
        }
    }

    static Command parse(String line) {
        return new Command(line.trim().split(" +"));
    }

    String get(String key) {
        String value = values.get(key);
        if (value == null) {
            throw new IllegalArgumentException(verb + " needs " + key + "=");
        }
        return value;
    }

    String get(String key, String otherwise) {
        return values.getOrDefault(key, otherwise);
    }

    /** A value in which blanks are written as {@code ~}. */
    static String blanks(String value) {
        return value.replace('~', ' ');
    }

    int number(String key, int otherwise) {
        return Integer.parseInt(get(key, String.valueOf(otherwise)));
    }
}
