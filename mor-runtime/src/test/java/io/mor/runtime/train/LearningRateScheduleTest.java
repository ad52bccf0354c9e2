package io.mor.runtime.train;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.runtime.config.ScheduleConfig;
import io.mor.runtime.config.ScheduleType;
import org.junit.jupiter.api.Test;

class LearningRateScheduleTest {

    /** Vanilla 360M at 16.5e18: 9438 steps, 57 of warmup, 1888 of decay (spec 5.4). */
    private final LearningRateSchedule trapezoid =
            LearningRateSchedule.of(new ScheduleConfig(ScheduleType.TRAPEZOID, 57, 0.2, 0.1), 9438);

    @Test
    void theTrapezoidHasItsCorners() {
        assertEquals(new LearningRateSchedule.Trapezoid(9438, 57, 1888), trapezoid);
        assertEquals(0, trapezoid.factor(0));
        assertEquals(1.0 / 57, trapezoid.factor(1), 1e-15);
        assertEquals(1, trapezoid.factor(57));
        assertEquals(1, trapezoid.factor(9438 - 1888));
        assertEquals(1887.0 / 1888, trapezoid.factor(9438 - 1887), 1e-15);
        assertEquals(0, trapezoid.factor(9438));
        assertEquals(0, trapezoid.factor(10000));
    }

    @Test
    void decayStepsAreThoseOfThePublishedConfigs() {
        long[][] published = {{9438, 1888}, {8883, 1777}, {12619, 2524}, {14161, 2832}, {14216, 2843}, {14672, 2934}};
        for (long[] run : published) {
            LearningRateSchedule schedule =
                    LearningRateSchedule.of(new ScheduleConfig(ScheduleType.TRAPEZOID, -1, 0.2, 0.1), (int) run[0]);
            assertEquals(run[1], ((LearningRateSchedule.Trapezoid) schedule).decaySteps());
        }
    }

    @Test
    void aResumedRunFollowsTheSameCurve() {
        long checkpoint = Math.round(0.8 * 9438);
        LearningRateSchedule again =
                LearningRateSchedule.of(new ScheduleConfig(ScheduleType.TRAPEZOID, 57, 0.2, 0.1), 9438);
        for (long step = checkpoint; step <= 9438; step++) {
            assertEquals(trapezoid.factor(step), again.factor(step));
            assertTrue(step == checkpoint || trapezoid.factor(step) <= trapezoid.factor(step - 1));
        }
    }

    @Test
    void theCosineEndsAtItsMinimum() {
        LearningRateSchedule cosine =
                LearningRateSchedule.of(new ScheduleConfig(ScheduleType.COSINE, -1, 0.2, 0.1), 4768);
        assertEquals(new LearningRateSchedule.Cosine(4768, 238, 0.1), cosine);
        assertEquals(0, cosine.factor(0));
        assertEquals(0.5, cosine.factor(119), 1e-15);
        assertEquals(1, cosine.factor(238));
        assertEquals(0.55, cosine.factor((4768 + 238) / 2), 1e-12);
        assertEquals(0.1, cosine.factor(4768), 1e-15);
        assertEquals(0.1, cosine.factor(9999), 1e-15);
    }

    @Test
    void runsOfOneStepAndWithoutWarmupOrDecayHaveARate() {
        assertEquals(1, new LearningRateSchedule.Trapezoid(1, 0, 0).factor(0));
        assertEquals(1, new LearningRateSchedule.Trapezoid(7, 0, 7).factor(0));
        assertEquals(1, new LearningRateSchedule.Cosine(1, 0, 0).factor(0));
        assertEquals(0, new LearningRateSchedule.Cosine(5, 5, 0).factor(5), 1e-15);
        // warmup and decay overlap: 3 of 4 warm, 3 of 4 decay
        assertEquals(2.0 / 3, new LearningRateSchedule.Trapezoid(4, 3, 3).factor(2), 1e-15);
    }

    @Test
    void impossibleSchedulesAreRefused() {
        assertThrows(IllegalArgumentException.class, () -> new LearningRateSchedule.Trapezoid(5, 6, 0));
        assertThrows(IllegalArgumentException.class, () -> new LearningRateSchedule.Trapezoid(5, 0, 6));
        assertThrows(IllegalArgumentException.class, () -> new LearningRateSchedule.Trapezoid(0, 0, 0));
        assertThrows(IllegalArgumentException.class, () -> new LearningRateSchedule.Cosine(5, 0, 1.5));
    }
}
