package io.mor.study.plan;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import io.mor.api.plugin.Range;
import io.mor.runtime.UsageException;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;

/**
 * What is held equal over the trials of a study. At most one of the first five, which set {@code training.steps}; and {@code parameters}, which sets
 * a size of the model.
 *
 * @param steps optimizer steps
 * @param tokens tokens trained on
 * @param modelFlops of training, forward and backward
 * @param paperFlops of training, forward alone, as the paper counts
 * @param seconds of training, by the rate that is measured before the study begins; the steps stay as planned when the study goes on
 * @param parameters unique parameters
 */
public record Budget(
        @Help("optimizer steps") @Range(min = 1) OptionalLong steps,
        @Help("tokens trained on") @Range(min = 1) OptionalDouble tokens,

        @Help("model-flops of training, forward and backward") @Range(min = 1)
        OptionalDouble modelFlops,

        @Help("paper-flops of training, forward alone") @Range(min = 1)
        OptionalDouble paperFlops,

        @Help("seconds of training, by a rate measured before") @Range(min = 0, exclusiveMin = true)
        OptionalDouble seconds,

        @Help("unique parameters") Optional<Parameters> parameters) {

    /** Nothing is held equal but what the configs say. */
    public static final Budget NONE = new Budget(
            OptionalLong.empty(),
            OptionalDouble.empty(),
            OptionalDouble.empty(),
            OptionalDouble.empty(),
            OptionalDouble.empty(),
            Optional.empty());

    /**
     * Equal unique parameters.
     *
     * @param count how many
     * @param by the key that is changed to get as near as possible
     * @param multiple what the key's value is a multiple of
     */
    public record Parameters(
            @Help("how many") @Range(min = 1) long count,

            @Help("key that is changed to get there") @DefaultValue("model.ffn")
            String by,

            @Help("what its value is a multiple of") @DefaultValue("8") @Range(min = 1)
            int multiple) {}

    /** Checks that at most one of them sets the steps. */
    public Budget {
        long given = (steps.isPresent() ? 1 : 0)
                + (tokens.isPresent() ? 1 : 0)
                + (modelFlops.isPresent() ? 1 : 0)
                + (paperFlops.isPresent() ? 1 : 0)
                + (seconds.isPresent() ? 1 : 0);
        if (given > 1) {
            throw new UsageException(
                    "at most one of steps, tokens, model-flops, paper-flops and seconds can be held equal, since each sets the steps");
        }
    }

    /** In words, for the plan; empty if nothing is held equal. */
    public String describe() {
        StringBuilder text = new StringBuilder();
        steps.ifPresent(value -> text.append("steps ").append(value));
        tokens.ifPresent(value -> text.append(String.format(Locale.ROOT, "tokens %,.0f", value)));
        modelFlops.ifPresent(value -> text.append(String.format(Locale.ROOT, "model-flops %.3g", value)));
        paperFlops.ifPresent(value -> text.append(String.format(Locale.ROOT, "paper-flops %.3g", value)));
        seconds.ifPresent(value -> text.append(String.format(Locale.ROOT, "seconds of training %.0f", value)));
        parameters.ifPresent(value -> text.append(text.isEmpty() ? "" : ", ")
                .append(String.format(Locale.ROOT, "unique parameters %,d (by %s)", value.count(), value.by())));
        return text.toString();
    }
}
