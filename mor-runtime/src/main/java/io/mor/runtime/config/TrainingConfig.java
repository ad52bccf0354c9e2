package io.mor.runtime.config;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import io.mor.api.plugin.Range;
import io.mor.runtime.tape.Recomputation;
import java.util.Optional;

/**
 * The {@code training} section (spec 5.3).
 *
 * @param steps optimizer steps
 * @param batch sequences per micro-batch
 * @param accumulation micro-batches per optimizer step
 * @param learningRate at the peak of the schedule
 * @param schedule how the learning rate moves
 * @param beta1 AdamW: decay of the first moment
 * @param beta2 AdamW: decay of the second moment
 * @param epsilon AdamW: added to the root of the second moment
 * @param weightDecay on weights, not on norms
 * @param clipNorm largest norm of the gradient over all parameters; 0: no clipping
 * @param recompute what is calculated again for gradients instead of kept
 * @param recomputeLayers in how many layers, of those that run first; 0: in all
 * @param evaluation when and on how much to evaluate
 * @param checkpoint when to save
 * @param log how often to report
 */
public record TrainingConfig(
        @Help("optimizer steps") @DefaultValue("1000") @Range(min = 1)
        int steps,

        @Help("sequences per micro-batch") @DefaultValue("8") @Range(min = 1)
        int batch,

        @Help("micro-batches per optimizer step") @DefaultValue("1") @Range(min = 1)
        int accumulation,

        @Help("learning rate at the peak of the schedule") @DefaultValue("0.003") @Range(min = 0)
        double learningRate,

        @Help("how the learning rate moves") ScheduleConfig schedule,

        @Help("AdamW: decay of the first moment") @DefaultValue("0.9") @Range(min = 0, max = 0.9999999)
        double beta1,

        @Help("AdamW: decay of the second moment") @DefaultValue("0.95") @Range(min = 0, max = 0.9999999)
        double beta2,

        @Help("AdamW: added to the root of the second moment")
        @DefaultValue("1e-8")
        @Range(min = 0, exclusiveMin = true)
        double epsilon,

        @Help("decay of weights, norms excepted") @DefaultValue("0.1") @Range(min = 0)
        double weightDecay,

        @Help("largest gradient norm; 0: no clipping") @DefaultValue("1.0") @Range(min = 0)
        double clipNorm,

        @Help("what is calculated again for gradients instead of kept, to the same bits: none, norms-and-gates, layers")
        @DefaultValue("none")
        Recomputation.Kind recompute,

        @Help(
                "in how many layers recompute holds, of those that run first, each recursion counted; the others keep all. 0: in all")
        @DefaultValue("0")
        @Range(min = 0)
        int recomputeLayers,

        @Help("evaluation during training") EvaluationConfig evaluation,
        @Help("checkpoints") CheckpointConfig checkpoint,
        @Help("reports to the metric sinks") LogConfig log) {

    /** What of this has no effect, and how to give it one. */
    public Optional<String> warning() {
        return recomputeLayers > 0 && recompute == Recomputation.Kind.NONE
                ? Optional.of("training.recompute-layers: " + recomputeLayers
                        + " has no effect, because training.recompute is none; set that to norms-and-gates or layers")
                : Optional.empty();
    }

    /** What is calculated again, and where. */
    public Recomputation recomputation() {
        return recomputeLayers == 0 ? new Recomputation(recompute) : new Recomputation(recompute, recomputeLayers);
    }
}
