package io.mor.runtime.config;

import io.mor.api.plugin.DefaultValue;
import io.mor.api.plugin.Help;
import io.mor.api.plugin.Range;

/**
 * The model's shape and sharing; the {@code model} section of a config (spec 1 and 5.1).
 *
 * @param vocabulary token ids; 0 takes the tokenizer's
 * @param hidden width of the residual stream
 * @param layers effective (unrolled) number of layers
 * @param heads query heads
 * @param kvHeads key-value heads
 * @param ffn inner width of the feed-forward layers
 * @param context positions
 * @param sharing parameter sharing
 * @param recursions times the shared block is applied at most
 * @param kvSharingGroups for unshared models: key-value sharing in this many groups, see the kv-cache section; 1 is off (spec 4.4)
 * @param tied whether the head is the embedding
 * @param lnShare whether norms are shared over recursions (spec 1.2)
 * @param initialization where a shared block starts from
 * @param initializerRange standard deviation of fresh weights
 * @param normEpsilon of RMSNorm
 * @param ropeTheta base of the rotary embedding
 * @param dropout in training
 */
public record ModelConfig(
        @Help("token ids; 0 takes the tokenizer's") @DefaultValue("0") @Range(min = 0)
        int vocabulary,

        @Help("width of the residual stream") @DefaultValue("128") @Range(min = 2)
        int hidden,

        @Help("effective number of layers, recursions unrolled") @DefaultValue("8") @Range(min = 1)
        int layers,

        @Help("query heads") @DefaultValue("4") @Range(min = 1)
        int heads,

        @Help("key-value heads; divides heads") @DefaultValue("4") @Range(min = 1)
        int kvHeads,

        @Help("inner width of the feed-forward layers") @DefaultValue("352") @Range(min = 1)
        int ffn,

        @Help("positions a sequence may have") @DefaultValue("256") @Range(min = 1)
        int context,

        @Help("parameter sharing: none, cycle, sequence, middle-cycle, middle-sequence") @DefaultValue("none")
        Sharing sharing,

        @Help("times the shared block is applied at most") @DefaultValue("1") @Range(min = 1)
        int recursions,

        @Help("unshared models: groups of layers that share keys and values; 1 is off")
        @DefaultValue("1")
        @Range(min = 1)
        int kvSharingGroups,

        @Help("whether the output head is the embedding") @DefaultValue("true")
        boolean tied,

        @Help("whether norms are shared over recursions") @DefaultValue("true")
        boolean lnShare,

        @Help("where a shared block starts from: random, stepwise, lower, upper, average") @DefaultValue("random")
        Initialization initialization,

        @Help("standard deviation of fresh weights") @DefaultValue("0.02") @Range(min = 0)
        double initializerRange,

        @Help("epsilon of RMSNorm") @DefaultValue("1e-5") @Range(min = 0)
        double normEpsilon,

        @Help("base of the rotary embedding") @DefaultValue("10000") @Range(min = 1)
        double ropeTheta,

        @Help("dropout probability in training") @DefaultValue("0") @Range(min = 0, max = 0.99)
        double dropout) {}
