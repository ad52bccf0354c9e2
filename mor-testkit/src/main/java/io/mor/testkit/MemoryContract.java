package io.mor.testkit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.backend.Backend;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** Identity, memory and transfers. */
public interface MemoryContract extends OnBench {

    /** The message with which something is refused; an asserting wrapper refuses with an error. */
    private static String refusal(Executable refused) {
        return String.valueOf(assertThrows(Throwable.class, refused, "the backend allows what it must refuse")
                .getMessage());
    }

    @Test
    default void theBackendSaysWhatItIs() {
        assertFalse(backend().description().isBlank());
        assertFalse(backend().description().contains("\n"), "one line");
        assertNotNull(backend().precision());
    }

    @Test
    default void tensorsHaveTheShapeAskedFor() {
        for (int rows : new int[] {0, 1, 7}) {
            Tensor tensor = backend().allocate(rows, 3);
            assertEquals(Extent.exact(rows), tensor.extent());
            assertEquals(3, tensor.columns());
            assertEquals(rows * 3, backend().readDoubles(tensor).length);
            assertEquals(rows * 3, backend().readFloats(tensor).length);
            backend().release(tensor);
            IntTensor ints = backend().allocateInts(rows);
            assertEquals(rows, ints.length());
            assertEquals(rows, backend().readInts(ints).length);
            backend().release(ints);
        }
    }

    @Test
    default void whatIsWrittenIsReadRoundedToThePrecision() {
        double[] doubles = {
            0.1, -1.0 / 3, 1e-20, -3e20, 0, Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY, 1
        };
        double[] rounded = new double[doubles.length];
        float[] floats = new float[doubles.length];
        double[] roundedFloats = new double[doubles.length];
        for (int i = 0; i < doubles.length; i++) {
            rounded[i] = KernelRun.round(doubles[i], backend().precision());
            floats[i] = (float) doubles[i];
            roundedFloats[i] = KernelRun.round(floats[i], backend().precision());
        }
        Tensor tensor = backend().allocate(3, 3);
        backend().write(tensor, doubles);
        assertArrayEquals(rounded, backend().readDoubles(tensor));
        backend().write(tensor, floats);
        assertArrayEquals(roundedFloats, backend().readDoubles(tensor));
        float[] read = backend().readFloats(tensor);
        for (int i = 0; i < read.length; i++) {
            assertEquals((float) roundedFloats[i], read[i]);
        }
        IntTensor ints = backend().allocateInts(4);
        int[] values = {Integer.MIN_VALUE, -1, 0, Integer.MAX_VALUE};
        backend().write(ints, values);
        assertArrayEquals(values, backend().readInts(ints));
    }

    @Test
    default void readingGivesACopy() {
        Tensor tensor = backend().allocate(1, 1);
        backend().fill(tensor, 1);
        backend().readDoubles(tensor)[0] = 5;
        backend().readFloats(tensor)[0] = 5;
        assertEquals(1, backend().readDoubles(tensor)[0]);
        double[] source = {2};
        backend().write(tensor, source);
        source[0] = 5;
        assertEquals(2, backend().readDoubles(tensor)[0]);
    }

    @Test
    default void writingTheWrongNumberOfValuesIsRefused() {
        Tensor tensor = backend().allocate(2, 3);
        IntTensor ints = backend().allocateInts(2);
        refusal(() -> backend().write(tensor, new double[5]));
        refusal(() -> backend().write(tensor, new float[7]));
        refusal(() -> backend().write(ints, new int[3]));
    }

    @Test
    default void viewsShareTheirValues() {
        Tensor base = backend().allocate(4, 3);
        backend().write(base, new double[] {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
        Tensor middle = backend().view(base, 1, Extent.exact(2), 3);
        assertArrayEquals(new double[] {3, 4, 5, 6, 7, 8}, backend().readDoubles(middle));
        Tensor reshaped = backend().view(base, 2, Extent.exact(3), 2); // rows of the view are counted: from element 4
        assertEquals(2, reshaped.columns());
        assertArrayEquals(new double[] {4, 5, 6, 7, 8, 9}, backend().readDoubles(reshaped));
        Tensor inner = backend().view(middle, 1, Extent.exact(1), 3);
        backend().write(inner, new double[] {-6, -7, -8});
        assertArrayEquals(
                new double[] {0, 1, 2, 3, 4, 5, -6, -7, -8, 9, 10, 11},
                backend().readDoubles(base));
        Tensor none = backend().view(base, 4, Extent.exact(0), 3);
        assertEquals(0, backend().readDoubles(none).length);
    }

    @Test
    default void viewsOfIntegersShareTheirValues() {
        IntTensor base = backend().allocateInts(5);
        backend().write(base, new int[] {0, 1, 2, 3, 4});
        IntTensor middle = backend().view(base, 1, 3);
        IntTensor inner = backend().view(middle, 1, 2);
        assertArrayEquals(new int[] {2, 3}, backend().readInts(inner));
        backend().fill(inner, 9);
        assertArrayEquals(new int[] {0, 1, 9, 9, 4}, backend().readInts(base));
        assertEquals(0, backend().view(base, 5, 0).length());
    }

    @Test
    default void aViewHasTheExtentItWasGiven() {
        Tensor base = backend().allocate(4, 3);
        IntTensor count = backend().allocateInts(1);
        Extent extent = Extent.counted(3, count);
        assertEquals(extent, backend().view(base, 1, extent, 3).extent());
    }

    @Test
    default void viewsOutOfBoundsAreRefused() {
        Tensor base = backend().allocate(4, 3);
        IntTensor ints = backend().allocateInts(4);
        Tensor inner = backend().view(base, 1, Extent.exact(2), 3);
        IntTensor innerInts = backend().view(ints, 1, 2);
        for (Executable view : List.<Executable>of(
                () -> backend().view(base, 2, Extent.exact(3), 3),
                () -> backend().view(base, -1, Extent.exact(1), 3),
                () -> backend().view(base, 0, Extent.exact(3), 5),
                () -> backend().view(base, Integer.MAX_VALUE, Extent.exact(1), 3),
                () -> backend().view(inner, 2, Extent.exact(1), 3),
                () -> backend().view(ints, 2, 3),
                () -> backend().view(ints, -1, 2),
                () -> backend().view(innerInts, 1, 2))) {
            assertFalse(refusal(view).isBlank());
        }
    }

    @Test
    default void releasedMemoryIsRefused() {
        Tensor tensor = backend().allocate(2, 2);
        Tensor view = backend().view(tensor, 1, Extent.exact(1), 2);
        Tensor other = backend().allocate(2, 2);
        backend().fill(other, 0);
        backend().fill(tensor, 0);
        backend().release(tensor);
        for (Executable use : List.<Executable>of(
                () -> backend().fill(tensor, 1),
                () -> backend().copy(other, tensor),
                () -> backend().add(other, other, tensor, 1),
                () -> backend().readDoubles(tensor),
                () -> backend().readFloats(view),
                () -> backend().write(tensor, new float[4]),
                () -> backend().view(tensor, 0, Extent.exact(1), 2),
                () -> backend().fill(view, 1),
                () -> backend().release(tensor))) {
            assertTrue(refusal(use).contains("released"), "the message says so: " + refusal(use));
        }
    }

    @Test
    default void releasedIntegersAreRefused() {
        IntTensor ints = backend().allocateInts(3);
        IntTensor view = backend().view(ints, 1, 1);
        Tensor x = backend().allocate(3, 1);
        Tensor counted = backend().view(x, 0, Extent.counted(3, ints), 1);
        backend().fill(ints, 0);
        backend().release(ints);
        for (Executable use : List.<Executable>of(
                () -> backend().fill(ints, 1),
                () -> backend().readInts(view),
                () -> backend().write(ints, new int[3]),
                () -> backend().toColumn(x, ints),
                () -> backend().copy(counted, counted),
                () -> backend().view(ints, 0, 1),
                () -> backend().release(ints))) {
            assertTrue(refusal(use).contains("released"), "the message says so: " + refusal(use));
        }
    }

    @Test
    default void viewsAreNotReleased() {
        Tensor tensor = backend().allocate(2, 2);
        IntTensor ints = backend().allocateInts(2);
        Tensor view = backend().view(tensor, 0, Extent.exact(2), 2);
        IntTensor intView = backend().view(ints, 0, 2);
        refusal(() -> backend().release(view));
        refusal(() -> backend().release(intView));
        backend().fill(tensor, 3);
        assertArrayEquals(new double[] {3, 3, 3, 3}, backend().readDoubles(view));
    }

    @Test
    default void tooMuchMemoryIsAnErrorThatSaysWhatWasAsked() {
        OutOfMemoryError error =
                assertThrows(OutOfMemoryError.class, () -> backend().allocate(Integer.MAX_VALUE, 1 << 20));
        assertTrue(error.getMessage().contains("2147483647"), error.getMessage());
        Tensor small = backend().allocate(1, 1);
        backend().fill(small, 1);
        assertEquals(1, backend().readDoubles(small)[0], "the backend still works");
    }

    @Test
    default void memoryIsGivenBackForGood() {
        for (int i = 0; i < 200; i++) { // 200 times 16 MiB of doubles
            Tensor tensor = backend().allocate(1 << 11, 1 << 10);
            backend().release(tensor);
        }
    }

    @Test
    default void closingTwiceIsHarmless() {
        Backend backend = backend();
        backend.allocate(3, 3);
        backend.allocateInts(3);
        backend.close();
        backend.close();
    }

    @Test
    default void memoryOfAClosedBackendIsRefused() {
        Tensor tensor = backend().allocate(2, 2);
        IntTensor ints = backend().allocateInts(2);
        backend().fill(tensor, 0);
        backend().fill(ints, 0);
        backend().close();
        for (Executable use : List.<Executable>of(
                () -> backend().fill(tensor, 1),
                () -> backend().readDoubles(tensor),
                () -> backend().fill(ints, 1),
                () -> backend().readInts(ints))) {
            assertFalse(refusal(use).isBlank());
        }
    }
}
