package io.mor.study.run;

import java.util.Optional;
import tools.jackson.core.JacksonException;

/**
 * What a trial's process tells the one that started it: a line of JSON on its standard output.
 *
 * @param event {@code step}, {@code evaluated}, {@code measuring} or {@code note}
 * @param done steps done
 * @param steps of the whole training
 * @param loss in nats per token; NaN if it is not known
 * @param rate tokens per second
 * @param secondsLeft of training
 * @param text of a note
 */
public record TrialEvent(
        String event, long done, long steps, double loss, double rate, double secondsLeft, String text) {

    /** The line. */
    String line() {
        return JsonFiles.MAPPER.writeValueAsString(this);
    }

    /** The event of a line; empty if it is something else that was printed. */
    static Optional<TrialEvent> of(String line) {
        if (!line.startsWith("{")) {
            return Optional.empty();
        }
        try {
            return Optional.of(JsonFiles.MAPPER.readValue(line, TrialEvent.class));
        } catch (JacksonException e) {
            return Optional.empty();
        }
    }

    /** Tells it to a follower. */
    void tell(TrialProgress progress) {
        switch (event) {
            case "step" -> progress.step(done, steps, loss, rate, secondsLeft);
            case "evaluated" -> progress.evaluated(done, loss);
            case "measuring" -> progress.measuring();
            default -> progress.note(text);
        }
    }
}
