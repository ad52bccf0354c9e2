package io.mor.runtime.binding;

import io.mor.runtime.UsageException;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

/** What is wrong with a config, collected so that all of it is told at once. Not thread-safe. */
public final class Problems {

    private final List<String> messages = new ArrayList<>();

    /** Adds a problem at a place. */
    public void add(Origin origin, String message) {
        messages.add(origin.prefix() + message);
    }

    /** Adds a problem that has no place. */
    public void add(String message) {
        messages.add(message);
    }

    /** The messages so far. */
    public List<String> messages() {
        return List.copyOf(messages);
    }

    /** Whether there are none. */
    public boolean isEmpty() {
        return messages.isEmpty();
    }

    /**
     * Ends the collection.
     *
     * @throws UsageException with all messages, if there are any
     */
    public void throwIfAny() {
        if (messages.size() == 1) {
            throw new UsageException(messages.getFirst());
        }
        if (!messages.isEmpty()) {
            throw new UsageException(messages.size() + " things are wrong with the config:\n"
                    + messages.stream().map(message -> "  " + message).collect(Collectors.joining("\n")));
        }
    }
}
