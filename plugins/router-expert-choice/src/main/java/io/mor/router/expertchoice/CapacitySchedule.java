package io.mor.router.expertchoice;

import java.util.List;
import java.util.stream.IntStream;

/**
 * The fraction of the sequence that each recursion takes, and how it gets there in training (spec 2.4).
 *
 * @param capacities for every recursion, in (0, 1], not increasing
 * @param warmupSteps micro-batches over which they fall from 1; 0 for none
 * @param stages in how many steps of equal length they fall, so that shapes stay the same for long; 0 for a fall with every micro-batch
 */
record CapacitySchedule(List<Double> capacities, int warmupSteps, int stages) {

    /**
     * The schedule of a model.
     *
     * @param configured empty for {@code (Nr - r + 1) / Nr}
     * @throws IllegalArgumentException if there is not one capacity for every recursion
     */
    static CapacitySchedule of(List<Double> configured, int recursions, int warmupSteps, int stages) {
        if (configured.isEmpty()) {
            List<Double> even = IntStream.rangeClosed(1, recursions)
                    .mapToObj(r -> (recursions - r + 1.0) / recursions)
                    .toList();
            return new CapacitySchedule(even, warmupSteps, stages);
        }
        if (configured.size() != recursions) {
            throw new IllegalArgumentException("router.capacity: " + configured + " has " + configured.size()
                    + " entries, but the model has " + recursions + " recursions; give one for each, or none");
        }
        return new CapacitySchedule(configured, warmupSteps, stages);
    }

    /** Refuses capacities out of (0, 1] or increasing. */
    static void check(List<Double> capacities) {
        double previous = 1;
        for (int i = 0; i < capacities.size(); i++) {
            double capacity = capacities.get(i);
            if (!(capacity > 0 && capacity <= 1)) {
                throw new IllegalArgumentException(
                        "router.capacity: " + capacity + " of recursion " + (i + 1) + " is not in (0, 1]");
            }
            if (capacity > previous) {
                throw new IllegalArgumentException(
                        "router.capacity: " + capacity + " of recursion " + (i + 1) + " is more than " + previous
                                + " of the recursion before, from whose tokens it takes its own; capacities must not increase");
            }
            previous = capacity;
        }
    }

    /** The capacity of a recursion (from 1) once warm-up is over; 1 for recursion 0, before which every token is active. */
    double at(int recursion) {
        return recursion == 0 ? 1 : capacities.get(recursion - 1);
    }

    /**
     * The capacity of a recursion in training, at a micro-batch from 0: {@code c + (1 - c) (1 + cos(pi s / S)) / 2} (spec 2.4), where with stages s is
     * the middle of the stage that the micro-batch is in. That is within {@code (1 - c) pi / (4 stages)} of the exact value.
     */
    double at(int recursion, long microBatch) {
        double target = at(recursion);
        if (microBatch >= warmupSteps) {
            return target;
        }
        double at = microBatch;
        if (stages > 0 && stages < warmupSteps) {
            long stage = microBatch * stages / warmupSteps;
            at = (stage + 0.5) * warmupSteps / stages;
        }
        return target + (1 - target) * 0.5 * (1 + Math.cos(Math.PI * at / warmupSteps));
    }
}
