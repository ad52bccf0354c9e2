package io.mor.runtime.config;

import io.mor.runtime.binding.Problems;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** What must hold between keys (spec 1.3, 2.4, 4.6). */
final class ConfigChecks {

    private ConfigChecks() {}

    static void check(ExperimentConfig config, Problems problems) {
        name(config, problems);
        shape(config.model().shape(), problems);
        sharing(config.model().shape(), problems);
        training(config, problems);
    }

    /** A run's folder is {@code runs/name}: a name must lead to one that is not the folder of all runs, nor outside it. */
    private static void name(ExperimentConfig config, Problems problems) {
        Path runs = config.runs().toAbsolutePath().normalize();
        try {
            Path folder = runs.resolve(config.name()).normalize();
            if (config.name().isBlank() || !folder.startsWith(runs) || folder.equals(runs)) {
                problems.add("name is '" + config.name() + "'; it must name a folder in runs, like my-first-model");
            }
        } catch (InvalidPathException e) {
            problems.add("name is '" + config.name() + "', which no folder can be called: " + e.getReason());
        }
    }

    private static void shape(ModelConfig model, Problems problems) {
        if (model.hidden() % model.heads() != 0) {
            problems.add("model.heads is " + model.heads() + "; it must divide model.hidden, " + model.hidden());
        } else if (model.hidden() / model.heads() % 2 != 0) {
            problems.add("model.hidden over model.heads is " + model.hidden() / model.heads()
                    + "; heads must have an even width, for the rotary embedding turns pairs");
        }
        if (model.heads() % model.kvHeads() != 0) {
            problems.add("model.kv-heads is " + model.kvHeads() + "; it must divide model.heads, " + model.heads());
        }
    }

    private static void sharing(ModelConfig model, Problems problems) {
        String sharing = ExperimentConfig.spell(model.sharing());
        int ends = model.sharing().isMiddle() ? 2 : 0;
        if (model.sharing() == Sharing.NONE) {
            if (model.recursions() > 1) {
                problems.add("model.recursions is " + model.recursions()
                        + " but model.sharing is none; set model.sharing, for example to middle-cycle");
            }
            if (model.kvSharingGroups() > 1 && model.layers() % model.kvSharingGroups() != 0) {
                problems.add("model.kv-sharing-groups is " + model.kvSharingGroups() + "; it must divide model.layers, "
                        + model.layers());
            }
            return;
        }
        if (model.kvSharingGroups() > 1) {
            problems.add("model.kv-sharing-groups is for models with sharing none, not " + sharing
                    + "; leave it out and choose kv-cache.type");
        }
        if (model.layers() < ends + model.recursions()) {
            problems.add("model.layers is "
                    + model.layers()
                    + "; sharing "
                    + sharing
                    + " with "
                    + model.recursions()
                    + " recursions needs at least "
                    + (ends + model.recursions()));
        }
    }

    /** To be asked once the extensions that the config names are known to be there. */
    static void routing(ExperimentConfig config, Problems problems) {
        ModelConfig model = config.model().shape();
        String router = config.router().type();
        if (!router.equals("none") && (!model.sharing().isCycle() || model.recursions() < 2)) {
            problems.add("router "
                    + router
                    + " needs model.sharing cycle or middle-cycle and at least 2 model.recursions, not "
                    + ExperimentConfig.spell(model.sharing())
                    + " and "
                    + model.recursions());
        }
        if (config.kvCache().type().equals("hybrid") && !router.equals("expert-choice")) {
            problems.add("kv-cache hybrid goes with router expert-choice only, not " + router
                    + " (spec 4.6); choose shared or recursion-wise");
        }
        if (config.router().options().get("capacity") instanceof List<?> capacity
                && !capacity.isEmpty()
                && capacity.size() != model.recursions()) {
            problems.add("router.capacity has " + capacity.size() + " values; model.recursions is " + model.recursions()
                    + ", so it must have as many");
        }
    }

    /** To be asked of a router that has not refused its capacities itself, so that it is not told twice. */
    static void capacities(ExtensionConfig router, Problems problems) {
        if (!(router.options().get("capacity") instanceof List<?> capacity)) {
            return;
        }
        for (int i = 1; i < capacity.size(); i++) {
            if (capacity.get(i) instanceof Number value
                    && capacity.get(i - 1) instanceof Number before
                    && value.doubleValue() > before.doubleValue()) {
                problems.add("router.capacity[" + i + "] is " + value + ", more than " + before
                        + " before it; capacities must not increase (spec 2.4)");
            }
        }
    }

    private static void training(ExperimentConfig config, Problems problems) {
        TrainingConfig training = config.training();
        ModelConfig model = config.model().shape();
        if ((long) training.batch() * model.context() > Integer.MAX_VALUE / 64) {
            problems.add("training.batch times model.context is "
                    + (long) training.batch() * model.context()
                    + " rows, more than one micro-batch can have; lower training.batch and raise"
                    + " training.accumulation");
        }
        int warmup = training.schedule().warmupSteps(training.steps());
        if (warmup > training.steps()) {
            problems.add(
                    "training.schedule.warmup-steps is " + warmup + ", more than training.steps, " + training.steps());
        }
    }

    static List<String> warnings(ExperimentConfig config) {
        List<String> warnings = new ArrayList<>();
        ModelConfig model = config.model().shape();
        if (model.sharing() != Sharing.NONE) {
            int ends = model.sharing().isMiddle() ? 2 : 0;
            int block = (model.layers() - ends) / model.recursions();
            int effective = ends + block * model.recursions();
            if (effective != model.layers()) {
                warnings.add("model.layers: "
                        + model.layers()
                        + " layers do not divide over "
                        + model.recursions()
                        + " recursions with sharing "
                        + ExperimentConfig.spell(model.sharing())
                        + "; the model has "
                        + effective
                        + " effective layers. The paper enlarges instead: set model.layers to "
                        + (effective + model.recursions()));
            }
        }
        return List.copyOf(warnings);
    }
}
