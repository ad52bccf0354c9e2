package io.mor.backend.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class VectorCheckTest {

    private static final double LIMIT = VectorCheck.SLOW_NANOS_PER_ELEMENT * VectorCheck.ELEMENTS;

    /** A machine on which a trial takes what it is told to, and this thread has a share of a processor. */
    private static final class Machine {
        final double share;
        final long compiledAfterProcessorNanos;
        long clock;
        double processor;
        boolean askedForProcessor;

        Machine(double share, long compiledAfterProcessorNanos) {
            this.share = share;
            this.compiledAfterProcessorNanos = compiledAfterProcessorNanos;
        }

        void trial() {
            boolean compiled = processor >= compiledAfterProcessorNanos;
            long onProcessor = compiled ? 400 : 2_000_000;
            processor += onProcessor;
            clock += compiled ? onProcessor : (long) (onProcessor / share); // a short one fits in a time slice
        }

        double best() {
            return VectorCheck.bestNanos(
                    () -> clock,
                    () -> {
                        askedForProcessor = true;
                        return (long) processor;
                    },
                    this::trial);
        }
    }

    @Test
    void aQuietMachineIsJudgedByTheClockAlone() {
        Machine machine = new Machine(1, 100_000_000);
        assertTrue(machine.best() < LIMIT);
        assertFalse(machine.askedForProcessor);
    }

    @Test
    void aBusyMachineIsNotTakenForOneThatDoesNotCompile() {
        Machine machine = new Machine(0.02, 1_500_000_000L); // 75 s by the clock before the compiler is done
        assertTrue(machine.best() < LIMIT);
        assertTrue(machine.clock > 60_000_000_000L, "far longer than the trial by the clock");
    }

    @Test
    void oneThatNeverCompilesIsFoundAfterThreeSecondsOfProcessor() {
        for (double share : new double[] {1, 0.1}) {
            Machine machine = new Machine(share, Long.MAX_VALUE);
            assertTrue(machine.best() > LIMIT);
            assertEquals(3.15e9, machine.processor, 0.2e9);
        }
    }

    @Test
    void thisJvmCompilesTheVectorApi() {
        double nanos = VectorCheck.nanosPerElement();
        assertTrue(nanos < VectorCheck.SLOW_NANOS_PER_ELEMENT, () -> nanos + " ns an element");
    }
}
