package io.mor.router.expertchoice;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** Capacities and their warm-up (spec 2.4), and what configs refuse. */
class CapacityScheduleTest {

    @Test
    void defaultsToEqualStepsDown() {
        assertEquals(
                List.of(1.0, 2.0 / 3, 1.0 / 3),
                CapacitySchedule.of(List.of(), 3, 0, 0).capacities());
        assertEquals(
                List.of(1.0, 0.75, 0.5, 0.25),
                CapacitySchedule.of(List.of(), 4, 0, 0).capacities());
    }

    @Test
    void warmsUpAlongACosineFromOne() {
        CapacitySchedule schedule = CapacitySchedule.of(List.of(1.0, 0.5, 0.25), 3, 8, 0);
        assertEquals(1, schedule.at(2, 0), 1e-15);
        assertEquals(1, schedule.at(3, 0), 1e-15);
        assertEquals(0.25 + 0.75 * 0.5 * (1 + Math.sqrt(0.5)), schedule.at(3, 2), 1e-15);
        assertEquals(0.25 + 0.75 * 0.5, schedule.at(3, 4), 1e-15);
        assertEquals(0.5, schedule.at(2, 8));
        assertEquals(0.25, schedule.at(3, 1_000_000));
        assertEquals(1, schedule.at(0, 3), "before recursion 1 every token is active");
        for (int microBatch = 1; microBatch <= 8; microBatch++) {
            assertTrue(schedule.at(3, microBatch) < schedule.at(3, microBatch - 1));
        }
    }

    @Test
    void inStagesItFallsSeldomAndStaysCloseToTheCosine() {
        int steps = 1000;
        CapacitySchedule exact = CapacitySchedule.of(List.of(1.0, 0.25), 2, steps, 0);
        for (int stages : new int[] {1, 3, 32, 999}) {
            CapacitySchedule staged = CapacitySchedule.of(List.of(1.0, 0.25), 2, steps, stages);
            Set<Double> values = new HashSet<>();
            double before = 1;
            for (int microBatch = 0; microBatch < steps; microBatch++) {
                double capacity = staged.at(2, microBatch);
                assertEquals(
                        exact.at(2, microBatch), capacity, 0.75 * Math.PI / (4 * stages) + 1e-12, stages + " stages");
                assertTrue(capacity <= before);
                before = capacity;
                values.add(capacity);
            }
            assertEquals(stages, values.size());
            assertEquals(0.25, staged.at(2, steps));
        }
    }

    @Test
    void asManyStagesAsMicroBatchesAreTheExactCosine() {
        CapacitySchedule exact = CapacitySchedule.of(List.of(1.0, 0.5), 2, 20, 0);
        CapacitySchedule staged = CapacitySchedule.of(List.of(1.0, 0.5), 2, 20, 32);
        for (int microBatch = 0; microBatch < 25; microBatch++) {
            assertEquals(exact.at(2, microBatch), staged.at(2, microBatch));
        }
    }

    @Test
    void withoutWarmupTheFirstMicroBatchHasTheConfiguredCapacities() {
        assertEquals(
                0.25, CapacitySchedule.of(List.of(1.0, 0.5, 0.25), 3, 0, 32).at(3, 0));
    }

    private static void assertRefused(String start, Executable making) {
        String message = assertThrows(IllegalArgumentException.class, making).getMessage();
        assertTrue(message.startsWith(start), message);
    }

    private static void assertRefused(String start, Consumer<ExpertChoiceConfigs> change) {
        ExpertChoiceConfigs config = new ExpertChoiceConfigs();
        change.accept(config);
        Executable making = config::build;
        assertRefused(start, making);
    }

    @Test
    void refusesCapacitiesThatCannotBe() {
        assertRefused(
                "router.capacity: 0.0 of recursion 2 is not in (0, 1]", config -> config.capacity = List.of(1.0, 0.0));
        assertRefused("router.capacity: 1.1 of recursion 1 is not in (0, 1]", config -> config.capacity = List.of(1.1));
        assertRefused(
                "router.capacity: NaN of recursion 1 is not in (0, 1]",
                config -> config.capacity = List.of(Double.NaN));
        assertRefused(
                "router.capacity: 0.7 of recursion 2 is more than 0.5 of the recursion before",
                config -> config.capacity = List.of(0.5, 0.7));
        assertRefused(
                "router.capacity: [1.0, 0.5] has 2 entries, but the model has 3 recursions",
                () -> CapacitySchedule.of(List.of(1.0, 0.5), 3, 0, 0));
    }

    @Test
    void refusesOtherValuesByTheirKey() {
        assertRefused("router.alpha: 0.0", config -> config.alpha = 0);
        assertRefused("router.temperature: -1.0", config -> config.temperature = -1);
        assertRefused("router.coefficient: NaN", config -> config.coefficient = Double.NaN);
        assertRefused("router.z-coefficient: -0.1", config -> config.zCoefficient = -0.1);
        assertRefused("router.capacity-warmup-steps: -1", config -> config.capacityWarmupSteps = -1);
        assertRefused("router.capacity-warmup-stages: -1", config -> config.capacityWarmupStages = -1);
        assertRefused("selector.decay: 1.0", () -> new EmaCutoffConfig(1));
        assertRefused("selector.depth: 0", () -> new FixedDepthConfig(0));
    }
}
