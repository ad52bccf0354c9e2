package io.mor.runtime.binding;

/**
 * Where a config value was written.
 *
 * @param source a file name, or what else it came from; empty if from code
 * @param line from 1; 0 if there are no lines
 */
public record Origin(String source, int line) {

    /** Given by code. */
    public static final Origin CODE = new Origin("", 0);

    /** What a message starts with: {@code run.yaml:12: } or nothing. */
    public String prefix() {
        if (source.isEmpty()) {
            return "";
        }
        return line == 0 ? source + ": " : source + ":" + line + ": ";
    }
}
