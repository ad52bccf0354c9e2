package io.mor.runtime.memory;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.backend.Precision;
import io.mor.runtime.memory.AllocationTrace.Request;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class MemoryPlanTest {

    private static Request request(int rows, int first, int last) {
        return new Request(rows, 3, Precision.FLOAT32, first, last);
    }

    private static MemoryPlan plan(Request... requests) {
        return MemoryPlan.of(new AllocationTrace(List.of(requests), List.of(5)));
    }

    @Test
    void tensorsThatAreNeverInUseAtOnceShareMemory() {
        MemoryPlan plan = plan(request(10, 0, 1), request(8, 2, 3), request(9, 1, 2));
        assertEquals(List.of(0, 0, 1), plan.slotOf());
        assertEquals((10 + 9) * 3 * 4 + 5 * 4, plan.bytes());
        assertEquals((10 + 9 + 8) * 3 * 4 + 5 * 4, plan.trace().bytesWithoutReuse());
        assertEquals((10 + 9) * 3 * 4 + 5 * 4, plan.trace().bytesInUseAtMost());
    }

    @Test
    void anOperandsMemoryIsNotTheResultsOfTheSameKernel() {
        assertEquals(List.of(0, 1), plan(request(4, 0, 3), request(4, 3, 4)).slotOf());
    }

    @Test
    void differentPrecisionsDoNotShare() {
        MemoryPlan plan = plan(request(4, 0, 1), new Request(4, 3, Precision.BFLOAT16, 2, 3));
        assertEquals(2, plan.slots().size());
        assertEquals(4 * 3 * 4 + 4 * 3 * 2 + 5 * 4, plan.bytes());
    }

    @Test
    void tensorsThatNoKernelUsesAndEmptyOnesHaveAPlaceToo() {
        assertEquals(
                List.of(0, 1, 0),
                plan(request(4, 1, 0), request(0, 1, 1), request(4, 2, 1)).slotOf());
        assertEquals(0, MemoryPlan.of(new AllocationTrace(List.of(), List.of())).bytes());
    }

    @Test
    void noTwoTensorsInOneSlotAreInUseAtOnceWhateverTheTrace() {
        for (int seed = 0; seed < 200; seed++) {
            Random random = new Random(seed);
            List<Request> requests = new ArrayList<>();
            int kernel = 0;
            for (int i = random.nextInt(60); i > 0; i--) {
                kernel += random.nextInt(3);
                requests.add(new Request(
                        random.nextInt(50),
                        1 + random.nextInt(7),
                        Precision.FLOAT32,
                        kernel,
                        kernel - 1 + random.nextInt(9)));
            }
            MemoryPlan plan = MemoryPlan.of(new AllocationTrace(requests, List.of()));
            for (int i = 0; i < requests.size(); i++) {
                Request one = requests.get(i);
                assertTrue(plan.slots().get(plan.slotOf().get(i)).elements() >= one.elements(), "it fits");
                for (int j = 0; j < i; j++) {
                    Request other = requests.get(j);
                    boolean together = one.first() <= Math.max(other.first(), other.last())
                            && other.first() <= Math.max(one.first(), one.last());
                    assertTrue(
                            !together
                                    || !plan.slotOf()
                                            .get(i)
                                            .equals(plan.slotOf().get(j)),
                            "seed " + seed + ": tensors " + j + " and " + i + " are in use together");
                }
            }
            assertTrue(plan.bytes() >= plan.trace().bytesInUseAtMost(), "no less than what is in use at once");
            assertTrue(plan.bytes() <= plan.trace().bytesWithoutReuse(), "no more than without reuse");
        }
    }
}
