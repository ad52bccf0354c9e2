package io.mor.backend.reference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.mor.api.tensor.AttentionRanges;
import io.mor.api.tensor.AttentionShape;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import io.mor.testkit.AssertingBackend;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** Seeded defects, each caught with its message. */
final class AssertingBackendTest {

    private final AssertingBackend backend = new AssertingBackend(new ReferenceBackend());

    private Tensor zeros(int rows, int columns) {
        Tensor tensor = backend.allocate(rows, columns);
        backend.fill(tensor, 0);
        return tensor;
    }

    private IntTensor ints(int... values) {
        IntTensor tensor = backend.allocateInts(values.length);
        backend.write(tensor, values);
        return tensor;
    }

    private static AssertionError caught(String message, Executable defect) {
        AssertionError error = assertThrows(AssertionError.class, defect);
        assertEquals(message, error.getMessage());
        return error;
    }

    @Test
    void aLeakIsNamedAtCloseWithThePlaceOfItsAllocation() {
        Tensor kept = zeros(3, 4);
        Tensor given = zeros(1, 1);
        ints(1, 2);
        backend.release(given);
        assertEquals(List.of("tensor [3, 4]", "ints [2]"), backend.held());
        AssertionError error =
                caught("close: 2 allocations were never released: tensor [3, 4], ints [2]", backend::close);
        assertEquals("tensor [3, 4] was allocated here", error.getSuppressed()[0].getMessage());
        assertEquals(3, kept.rows());
        assertDoesNotThrow(backend::close, "closing again is harmless");
        caught("allocate: the backend is closed", () -> backend.allocate(1, 1));
    }

    @Test
    void nothingLeftIsNoLeak() {
        backend.release(zeros(3, 4));
        backend.release(ints(1));
        assertDoesNotThrow(backend::close);
    }

    @Test
    void leaksCanBeAllowed() {
        AssertingBackend lenient = AssertingBackend.allowingLeaks(new ReferenceBackend());
        lenient.allocate(1, 1);
        assertDoesNotThrow(lenient::close);
    }

    @Test
    void aSecondReleaseIsCaught() {
        Tensor tensor = zeros(2, 3);
        IntTensor vector = ints(1, 2);
        backend.release(tensor);
        backend.release(vector);
        assertNotNull(caught("release: tensor [2, 3] was released twice", () -> backend.release(tensor))
                .getCause());
        caught("release: ints [2] was released twice", () -> backend.release(vector));
    }

    @Test
    void releasingAViewIsCaught() {
        Tensor view = backend.view(zeros(2, 3), 0, Extent.exact(1), 3);
        caught("release: a view of tensor [2, 3] owns nothing; release what it views", () -> backend.release(view));
    }

    @Test
    void useAfterReleaseIsCaughtInEveryRole() {
        Tensor gone = zeros(2, 3);
        Tensor view = backend.view(gone, 1, Extent.exact(1), 3);
        Tensor live = zeros(2, 3);
        IntTensor count = ints(1);
        Tensor counted = backend.view(live, 0, Extent.counted(2, count), 3);
        backend.release(gone);
        caught("affine: x is used after tensor [2, 3] was released", () -> backend.affine(live, gone, 1, 0, false));
        caught("fill: out is used after tensor [2, 3] was released", () -> backend.fill(view, 1));
        caught("readDoubles: tensor is used after tensor [2, 3] was released", () -> backend.readDoubles(gone));
        caught("view: base is used after tensor [2, 3] was released", () -> backend.view(gone, 0, Extent.exact(1), 3));
        backend.release(count);
        caught(
                "softmax: the count of out is used after ints [1] was released",
                () -> backend.softmax(counted, counted));
    }

    @Test
    void tensorsOfOthersAreCaught() {
        Tensor foreign = new ReferenceBackend().allocate(1, 1);
        caught("copy: x was not allocated by this backend", () -> backend.copy(zeros(1, 1), foreign));
    }

    @Test
    void shapesThatDoNotFitAreCaught() {
        Tensor a = zeros(3, 4);
        Tensor b = zeros(3, 5);
        Tensor out = zeros(3, 5);
        caught("add: out [3, 5] and a [3, 4] must have the same columns", () -> backend.add(out, a, b, 1));
        caught("copy: out and x must have the same rows, not 2 and 3", () -> backend.copy(zeros(2, 5), b));
        caught(
                "matmul: a [3, 4] and b [3, 5] do not fit: 4 and 3 terms",
                () -> backend.matmul(out, a, false, b, false, false));
        caught("matmul: out [3, 5] must have 3 columns", () -> backend.matmul(out, a, false, zeros(3, 4), true, false));
        caught("matmul: out [3, 5] must have 4 rows", () -> backend.matmul(out, a, true, b, false, false));
        caught("scaleRows: factors [3, 5] must have 1 columns", () -> backend.scaleRows(zeros(3, 4), a, b, false));
        caught("columnSum: out [3, 5] must be [1, 5]", () -> backend.columnSum(out, b, 1, false));
        caught("toColumn: values [2] must have at least 3 elements", () -> backend.toColumn(zeros(3, 1), ints(1, 2)));
        caught(
                "rope: x [3, 4] is not whole heads of 6",
                () -> backend.rope(zeros(3, 4), a, ints(0, 1, 2), 6, 10000, false));
        caught("write: 3 values do not fill tensor [3, 4]", () -> backend.write(a, new double[3]));
        caught(
                "attention: queries [3, 4] must have 6 columns",
                () -> backend.attention(
                        zeros(3, 4),
                        zeros(3, 1),
                        a,
                        zeros(3, 6),
                        zeros(3, 6),
                        new AttentionRanges(ints(0, 0, 0), ints(1, 2, 3), Optional.empty(), 3),
                        new AttentionShape(1, 1, 6)));
    }

    @Test
    void viewsOutOfBoundsAreCaught() {
        Tensor base = zeros(3, 4);
        caught(
                "view: [2, 4] from row 2 does not lie within base [3, 4]",
                () -> backend.view(base, 2, Extent.exact(2), 4));
        caught("view: 2 elements from element 2 do not lie within base [3]", () -> backend.view(ints(1, 2, 3), 2, 2));
    }

    @Test
    void extentsThatDifferAreCaught() {
        Tensor x = zeros(3, 2);
        IntTensor counts = ints(2, 2);
        Tensor counted = backend.view(x, 0, Extent.counted(3, backend.view(counts, 0, 1)), 2);
        Tensor sameCount = backend.view(zeros(3, 2), 0, Extent.counted(3, backend.view(counts, 0, 1)), 2);
        Tensor otherCount = backend.view(zeros(3, 2), 0, Extent.counted(3, backend.view(counts, 1, 1)), 2);
        caught(
                "copy: out and x must have the same extent; only x is counted",
                () -> backend.copy(zeros(3, 2), counted));
        caught("copy: out and x have counts in different places", () -> backend.copy(otherCount, counted));
        assertDoesNotThrow(() -> backend.copy(sameCount, counted));
    }

    @Test
    void countsBeyondTheBoundAreCaught() {
        Tensor counted = backend.view(zeros(3, 2), 0, Extent.counted(3, ints(4)), 2);
        caught("copy: the count of out is 4, not between 0 and the bound 3", () -> backend.copy(counted, counted));
    }

    @Test
    void indicesOutOfBoundsAreCaught() {
        Tensor x = zeros(3, 2);
        caught(
                "gatherRows: index[1] is 3, not between 0 and 2",
                () -> backend.gatherRows(zeros(2, 2), x, ints(0, 3), false));
        caught("scatterRows: index[2] repeats 1", () -> backend.scatterRows(zeros(4, 2), ints(1, -1, 1), x));
        caught(
                "crossEntropy: target[0] is -1, not between 0 and 1",
                () -> backend.crossEntropy(zeros(3, 1), x, ints(-1, 0, 0)));
        assertDoesNotThrow(() -> backend.scatterRows(zeros(4, 2), ints(3, -1, -1), x), "negative rows are skipped");
    }

    @Test
    void overlapsAreCaughtWhereAKernelDoesNotAllowThem() {
        Tensor x = zeros(4, 4);
        caught("softmax: out overlaps x", () -> backend.softmax(x, x));
        caught("matmul: out overlaps b", () -> backend.matmul(x, zeros(4, 4), false, x, false, false));
        Tensor inside = backend.view(x, 0, Extent.exact(4), 1);
        caught(
                "rmsNorm: out overlaps rstd",
                () -> backend.rmsNorm(x, inside, zeros(4, 4), zeros(1, 4), Optional.empty(), 0));
        Tensor shifted = backend.view(x, 1, Extent.exact(3), 4);
        Tensor first = backend.view(x, 0, Extent.exact(3), 4);
        caught("copy: out overlaps x in part", () -> backend.copy(shifted, first));
        IntTensor count = ints(3);
        Tensor mask = backend.view(zeros(4, 1), 0, Extent.counted(4, count), 1);
        caught("compact: count overlaps the count of mask", () -> backend.compact(ints(0, 0, 0, 0), count, mask));
    }

    @Test
    void allowedOverlapsPass() {
        Tensor x = zeros(4, 4);
        assertDoesNotThrow(() -> backend.rope(x, x, ints(0, 1, 2, 3), 4, 10000, false));
        assertDoesNotThrow(() -> backend.affine(x, x, 1, 2, false));
        assertDoesNotThrow(
                () -> backend.copy(backend.view(x, 0, Extent.exact(2), 4), backend.view(x, 2, Extent.exact(2), 4)),
                "neighbours do not overlap");
        assertArrayEquals(new double[] {2}, backend.readDoubles(backend.view(x, 0, Extent.exact(1), 1)));
    }
}
