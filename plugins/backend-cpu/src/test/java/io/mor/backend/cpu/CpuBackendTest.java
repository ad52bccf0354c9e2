package io.mor.backend.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.mor.api.backend.Backend;
import io.mor.api.tensor.Tensor;
import io.mor.testkit.BackendContract;
import java.util.Arrays;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** The contract on two threads, and what this backend promises beyond it. */
final class CpuBackendTest extends BackendContract {

    @Override
    protected Backend createBackend() {
        return new CpuBackend(new CpuConfig(2));
    }

    @Test
    void closingLeavesNoThreadBehind() {
        Set<Thread> before = Thread.getAllStackTraces().keySet().stream()
                .filter(Thread::isAlive)
                .collect(Collectors.toSet());
        CpuBackend other = new CpuBackend(new CpuConfig(3));
        Set<Thread> started = Thread.getAllStackTraces().keySet().stream()
                .filter(t -> !before.contains(t))
                .collect(Collectors.toSet());
        assertEquals(
                2,
                started.stream().filter(t -> t.getName().startsWith("mor-cpu-")).count());
        other.close();
        started.stream()
                .filter(t -> t.getName().startsWith("mor-cpu-"))
                .forEach(t -> assertFalse(t.isAlive(), t.getName()));
        other.close(); // a second close does nothing
    }

    @Test
    void memoryOfReleasedTensorsIsUsedAgain() {
        CpuTensor first = (CpuTensor) backend().allocate(100, 100);
        float[] array = first.values();
        backend().release(first);
        assertEquals(array, ((CpuTensor) backend().allocate(101, 99)).values(), "the same size class");
    }

    @Test
    void tensorsOfAnotherInstanceAndReleasedOnesAreRefused() {
        try (CpuBackend other = new CpuBackend(new CpuConfig(1))) {
            Tensor foreign = other.allocate(1, 1);
            assertThrows(IllegalArgumentException.class, () -> backend().fill(foreign, 0));
        }
        Tensor x = backend().allocate(2, 2);
        backend().release(x);
        assertThrows(IllegalStateException.class, () -> backend().fill(x, 0));
    }

    @Test
    void anExceptionOfAPartReachesTheCallerAndThePoolGoesOn() {
        try (Workers workers = new Workers(3)) {
            assertThrows(
                    IndexOutOfBoundsException.class,
                    () -> workers.run(100, (thread, part) -> {
                        if (part == 37) {
                            throw new IndexOutOfBoundsException("part 37");
                        }
                    }));
            int[] seen = new int[1000];
            workers.run(1000, (thread, part) -> seen[part]++);
            int[] once = new int[1000];
            Arrays.fill(once, 1);
            assertArrayEquals(once, seen);
        }
    }
}
