package io.mor.study.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.OptionalDouble;
import java.util.Random;
import java.util.function.IntToDoubleFunction;
import org.junit.jupiter.api.Test;

class StepTimesTest {

    /** What is said of steps, and after how many seconds of them. */
    private record Told(double seconds, double after) {}

    private static Told told(IntToDoubleFunction steps) {
        StepTimes times = new StepTimes();
        double after = 0;
        for (int step = 0; ; step++) {
            double seconds = steps.applyAsDouble(step);
            after += seconds;
            OptionalDouble told = times.add(seconds);
            if (told.isPresent()) {
                return new Told(told.getAsDouble(), after);
            }
        }
    }

    @Test
    void stepsThatGetFasterAreWatchedUntilTheyNoLongerDo() {
        Told told = told(step -> 0.1 + 0.4 * Math.exp(-step / 10.0));
        assertEquals(0.1, told.seconds(), 0.01);
        assertTrue(told.after() > 3, told::toString);
    }

    @Test
    void otherWorkOnTheMachineChangesLittle() {
        Random random = new Random(3);
        Told told = told(step -> random.nextInt(3) > 0 ? 0.1 + 0.3 * random.nextDouble() : 0.1);
        assertEquals(0.1, told.seconds(), 0.02, told.toString());
    }

    @Test
    void oneSlowStepIsNoWindow() {
        assertEquals(0.02, told(step -> step == 0 ? 2 : 0.02).seconds(), 1e-12);
    }

    @Test
    void stepsOfManySecondsAreToldOfAfterAFew() {
        assertEquals(new Told(6, 18), told(step -> 6));
    }
}
