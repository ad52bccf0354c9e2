package io.mor.backend.reference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import io.mor.testkit.HostBlindBackend;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** Reads within a step are refused; rows beyond a count are spoilt. */
final class HostBlindBackendTest {

    private static final int UNUSED = HostBlindBackend.UNUSED_INTEGER;

    private final HostBlindBackend backend = new HostBlindBackend(new ReferenceBackend());

    private IntTensor ints(int... values) {
        IntTensor tensor = backend.allocateInts(values.length);
        backend.write(tensor, values);
        return tensor;
    }

    private static void refused(String what, Executable read) {
        assertEquals(
                what
                        + " in a blind section: code of a step must not read device values; pass them on to a kernel, or read after the step",
                assertThrows(IllegalStateException.class, read).getMessage());
    }

    @Test
    void everyTransferToTheHostIsRefusedInABlindSection() {
        Tensor tensor = backend.allocate(1, 2);
        backend.fill(tensor, 3);
        IntTensor vector = ints(1, 2, 3);
        try (HostBlindBackend.BlindSection _ = backend.blind()) {
            HostBlindBackend.BlindSection inner = backend.blind();
            refused("readFloats of a tensor [1, 2]", () -> backend.readFloats(tensor));
            inner.close();
            inner.close(); // counts once
            refused("readDoubles of a tensor [1, 2]", () -> backend.readDoubles(tensor));
            refused("readInts of 3 integers", () -> backend.readInts(vector));
            backend.write(tensor, new double[] {4, 5});
        }
        assertArrayEquals(new double[] {4, 5}, backend.readDoubles(tensor));
        assertArrayEquals(new int[] {1, 2, 3}, backend.readInts(vector));
    }

    @Test
    void rowsBeyondTheCountAreSpoiltAfterEveryKernel() {
        Extent extent = Extent.counted(3, ints(1));
        Tensor x = backend.view(backend.allocate(3, 1), 0, extent, 1);
        backend.write(x, new double[] {1, 2, 3});
        assertArrayEquals(new double[] {1, 2, 3}, backend.readDoubles(x), "writing reaches the bound");
        Tensor out = backend.view(backend.allocate(3, 1), 0, extent, 1);
        try (HostBlindBackend.BlindSection _ = backend.blind()) {
            backend.fill(out, 7);
            backend.affine(out, x, 2, 0, false);
        }
        assertArrayEquals(new double[] {2, Double.NaN, Double.NaN}, backend.readDoubles(out));
    }

    @Test
    void integersBeyondTheCountAreSpoiltToo() {
        Tensor mask = backend.allocate(4, 1);
        backend.write(mask, new double[] {0, 1, 0, 1});
        IntTensor index = ints(-1, -1, -1, -1);
        IntTensor count = ints(-1);
        backend.compact(index, count, mask);
        assertArrayEquals(new int[] {1, 3, UNUSED, UNUSED}, backend.readInts(index));
        IntTensor gathered = ints(0, 0, 0, 0, 0);
        backend.gatherInts(gathered, ints(10, 11, 12, 13), index, Extent.counted(4, count));
        assertArrayEquals(
                new int[] {11, 13, UNUSED, UNUSED, 0}, backend.readInts(gathered), "what lies beyond the bound stays");
    }

    @Test
    void aKernelThatReadsBeyondTheCountShows() {
        Extent extent = Extent.counted(3, ints(2));
        Tensor x = backend.view(backend.allocate(3, 1), 0, extent, 1);
        backend.write(x, new double[] {1, 2, 3});
        backend.copy(x, x);
        Tensor defect = backend.view(x, 0, Extent.exact(3), 1); // forgets the count
        Tensor sum = backend.allocate(1, 1);
        backend.columnSum(sum, defect, 1, false);
        assertArrayEquals(new double[] {Double.NaN}, backend.readDoubles(sum));
        backend.columnSum(sum, x, 1, false);
        assertArrayEquals(new double[] {3}, backend.readDoubles(sum));
    }
}
