package io.mor.backend.reference;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.backend.Backend;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import io.mor.testkit.BackendContract;
import org.junit.jupiter.api.Test;

/** The contract on the reference itself: formulas and central differences. */
final class ReferenceBackendTest extends BackendContract {

    @Override
    protected Backend createBackend() {
        return new ReferenceBackend();
    }

    @Test
    void freshMemoryShowsThatNobodyWroteIt() {
        assertTrue(Double.isNaN(backend().readDoubles(backend().allocate(1, 1))[0]));
        assertEquals(Integer.MIN_VALUE, backend().readInts(backend().allocateInts(1))[0]);
    }

    @Test
    void tensorsOfAnotherInstanceAreRefused() {
        Tensor foreign = bench().reference().allocate(1, 1);
        IllegalArgumentException refusal =
                assertThrows(IllegalArgumentException.class, () -> backend().fill(foreign, 0));
        assertEquals(
                "tensor [1, 1] belongs to another instance of the reference backend; copy its values over",
                refusal.getMessage());
    }

    @Test
    void countsBeyondTheBoundAreRefused() {
        IntTensor count = backend().allocateInts(1);
        Tensor x = backend().view(backend().allocate(3, 1), 0, Extent.counted(3, count), 1);
        for (int wrong : new int[] {-1, 4}) {
            backend().fill(count, wrong);
            IllegalStateException refusal =
                    assertThrows(IllegalStateException.class, () -> backend().copy(x, x));
            assertEquals("a count of " + wrong + " rows is not between 0 and the bound 3", refusal.getMessage());
        }
    }

    @Test
    void indicesOutOfBoundsAreRefused() {
        Tensor x = backend().allocate(3, 2);
        Tensor out = backend().allocate(1, 2);
        IntTensor index = backend().allocateInts(1);
        backend().fill(index, 3);
        assertThrows(IndexOutOfBoundsException.class, () -> backend().gatherRows(out, x, index, false));
    }
}
