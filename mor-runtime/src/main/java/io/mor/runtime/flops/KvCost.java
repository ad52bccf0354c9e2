package io.mor.runtime.flops;

import io.mor.runtime.config.ModelConfig;
import java.util.List;

/**
 * What keys and values cost (spec 4.2), as averages over tokens. An entry is the keys and values of one token in one visit of one layer; a
 * vanilla model has one per layer.
 *
 * @param entries stored per token
 * @param recursiveEntries of these, in the repeated part
 * @param read entries that a query which runs everything reads, over the tokens of its sequence
 * @param recursiveRead of these, in the repeated part
 * @param visits visits of layers
 * @param recursiveVisits of these, in the repeated part
 */
public record KvCost(
        double entries, double recursiveEntries, double read, double recursiveRead, int visits, int recursiveVisits) {

    /** The cost of a full pass. */
    public static KvCost of(List<LayerVisit> visits) {
        double entries = 0;
        double recursiveEntries = 0;
        double read = 0;
        double recursiveRead = 0;
        int recursive = 0;
        for (LayerVisit visit : visits) {
            double stored = visit.projects() ? visit.share() : 0;
            entries += stored;
            read += visit.keys();
            if (visit.recursive()) {
                recursive++;
                recursiveEntries += stored;
                recursiveRead += visit.keys();
            }
        }
        return new KvCost(entries, recursiveEntries, read, recursiveRead, visits.size(), recursive);
    }

    /** Bytes of one entry: 2 * kvHeads * headDim elements. */
    public static long entryBytes(ModelConfig model, int bytesPerElement) {
        return 2L * model.kvHeads() * (model.hidden() / model.heads()) * bytesPerElement;
    }

    /** Bytes stored per token, over the whole model. */
    public double bytesPerToken(ModelConfig model, int bytesPerElement) {
        return entries * entryBytes(model, bytesPerElement);
    }

    /** Memory of the whole model, vanilla = 1. */
    public double memoryFraction() {
        return entries / visits;
    }

    /** Memory of the repeated part, vanilla = 1; 1 if nothing is repeated. */
    public double recursiveMemoryFraction() {
        return recursiveVisits == 0 ? 1 : recursiveEntries / recursiveVisits;
    }

    /** Reads of the repeated part, vanilla = 1, as the paper counts them: for a token that runs all recursions. */
    public double recursiveReadFraction() {
        return recursiveVisits == 0 ? 1 : recursiveRead / recursiveVisits;
    }
}
