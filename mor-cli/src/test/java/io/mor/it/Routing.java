package io.mor.it;

import io.mor.api.model.ModelShape;
import io.mor.api.routing.Router;
import io.mor.api.routing.Selector;
import io.mor.router.baselines.FixedDepthRouter;
import io.mor.router.baselines.FixedDepthRouterConfig;
import io.mor.router.baselines.RandomRouter;
import io.mor.router.baselines.RandomRouterConfig;
import io.mor.router.expertchoice.AuxiliaryRouterSelector;
import io.mor.router.expertchoice.CoefficientNormalization;
import io.mor.router.expertchoice.EmaCutoffConfig;
import io.mor.router.expertchoice.EmaCutoffSelector;
import io.mor.router.expertchoice.ExpertChoiceConfig;
import io.mor.router.expertchoice.ExpertChoiceRouter;
import io.mor.router.expertchoice.FixedDepthConfig;
import io.mor.router.expertchoice.FixedDepthSelector;
import io.mor.router.expertchoice.LogitThresholdSelector;
import io.mor.router.expertchoice.RandomSelector;
import io.mor.router.expertchoice.Sampling;
import io.mor.router.tokenchoice.Balancing;
import io.mor.router.tokenchoice.TokenChoiceConfig;
import io.mor.router.tokenchoice.TokenChoiceRouter;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/**
 * A router and its causal selector.
 *
 * @param name for test names
 * @param router makes the router
 * @param selector makes the selector, if the router needs one
 */
record Routing(String name, Function<ModelShape, Router> router, Optional<Function<ModelShape, Selector>> selector) {

    static Routing expertChoice(String selectorName, List<Double> capacity, Function<ModelShape, Selector> selector) {
        Sampling sampling = selectorName.equals("auxiliary-router") ? Sampling.AUX_ROUTER : Sampling.AUX_LOSS;
        ExpertChoiceConfig config = new ExpertChoiceConfig(
                io.mor.router.expertchoice.Architecture.LINEAR,
                io.mor.router.expertchoice.ScoreFunction.SIGMOID,
                0.5,
                1,
                io.mor.router.expertchoice.Gating.WEIGHTED,
                capacity,
                0,
                0,
                sampling,
                0.001,
                CoefficientNormalization.MEAN,
                0);
        return new Routing(
                "expert-choice, " + selectorName,
                shape -> new ExpertChoiceRouter(config, shape),
                Optional.of(selector));
    }

    /** Expert-choice whose every recursion takes every token and adds the block's output as it is. */
    static Routing additiveForAll() {
        ExpertChoiceConfig config = new ExpertChoiceConfig(
                io.mor.router.expertchoice.Architecture.LINEAR,
                io.mor.router.expertchoice.ScoreFunction.SIGMOID,
                0.5,
                1,
                io.mor.router.expertchoice.Gating.ADDITIVE,
                List.of(1.0, 1.0, 1.0),
                0,
                0,
                Sampling.AUX_LOSS,
                0.001,
                CoefficientNormalization.MEAN,
                0);
        return new Routing(
                "expert-choice, additive, all",
                shape -> new ExpertChoiceRouter(config, shape),
                Optional.of(shape -> new FixedDepthSelector(new FixedDepthConfig(3), shape)));
    }

    static Routing emaCutoff() {
        return expertChoice("ema-cutoff", List.of(), shape -> new EmaCutoffSelector(new EmaCutoffConfig(0.99), shape));
    }

    static Routing tokenChoice() {
        TokenChoiceConfig config = new TokenChoiceConfig(
                io.mor.router.tokenchoice.Architecture.LINEAR,
                io.mor.router.tokenchoice.ScoreFunction.SOFTMAX,
                1,
                1,
                io.mor.router.tokenchoice.Gating.WEIGHTED,
                Balancing.LOSS,
                0.1,
                0,
                0,
                0);
        return new Routing("token-choice", shape -> new TokenChoiceRouter(config, shape), Optional.empty());
    }

    /** One of each kind. */
    static List<Routing> all() {
        return List.of(
                expertChoice("logit-threshold", List.of(), shape -> new LogitThresholdSelector()),
                expertChoice("auxiliary-router", List.of(), shape -> new AuxiliaryRouterSelector()),
                emaCutoff(),
                expertChoice("fixed-depth", List.of(), shape -> new FixedDepthSelector(new FixedDepthConfig(2), shape)),
                expertChoice("random", List.of(), shape -> new RandomSelector()),
                tokenChoice(),
                new Routing(
                        "random",
                        shape -> new RandomRouter(new RandomRouterConfig(List.of(), 0.3), shape),
                        Optional.empty()),
                new Routing(
                        "fixed-depth",
                        shape -> new FixedDepthRouter(new FixedDepthRouterConfig(2), shape),
                        Optional.empty()));
    }
}
