package io.mor.backend.reference;

import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import java.util.Arrays;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.Set;

/** What a backend has allocated, and the checks that a tensor is one of its own and still there. */
final class Memory {

    private final Set<Lifetime> held = Collections.newSetFromMap(new IdentityHashMap<>());

    Tensor allocate(int rows, int columns) {
        if (rows < 0 || columns < 1) {
            throw new IllegalArgumentException(
                    "a tensor [" + rows + ", " + columns + "] cannot be: rows are at least 0, columns at least 1");
        }
        long size = (long) rows * columns;
        if (size > Integer.MAX_VALUE - 8) {
            throw new OutOfMemoryError("tensor [" + rows + ", " + columns + "] is larger than a Java array; "
                    + held.size() + " allocations are held");
        }
        double[] values = new double[(int) size];
        Arrays.fill(values, Double.NaN);
        return new ReferenceTensor(
                hold("tensor [" + rows + ", " + columns + "]"), values, 0, false, Extent.exact(rows), columns);
    }

    IntTensor allocateInts(int length) {
        if (length < 0) {
            throw new IllegalArgumentException("a vector of " + length + " integers cannot be");
        }
        int[] values = new int[length];
        Arrays.fill(values, Integer.MIN_VALUE);
        return new ReferenceInts(hold("ints [" + length + "]"), values, 0, false, length);
    }

    Tensor view(Tensor base, int firstRow, Extent extent, int columns) {
        ReferenceTensor b = of(base);
        long first = (long) firstRow * columns;
        if (columns < 1 || firstRow < 0 || first + (long) extent.bound() * columns > b.size()) {
            throw new IndexOutOfBoundsException("a view [" + extent.bound() + ", " + columns + "] from row " + firstRow
                    + " does not lie within " + b);
        }
        return new ReferenceTensor(b.lifetime, b.values, b.offset + (int) first, true, extent, columns);
    }

    IntTensor view(IntTensor base, int first, int length) {
        ReferenceInts b = of(base);
        if (first < 0 || length < 0 || (long) first + length > b.length()) {
            throw new IndexOutOfBoundsException(
                    "a view of " + length + " elements from element " + first + " does not lie within " + b);
        }
        return new ReferenceInts(b.lifetime, b.values, b.offset + first, true, length);
    }

    void release(Tensor tensor) {
        ReferenceTensor t = of(tensor);
        release(t.lifetime, t.isView);
    }

    void release(IntTensor tensor) {
        ReferenceInts t = of(tensor);
        release(t.lifetime, t.isView);
    }

    private void release(Lifetime lifetime, boolean isView) {
        if (isView) {
            throw new IllegalArgumentException(
                    "a view of " + lifetime + " owns nothing and cannot be released; release what it views");
        }
        lifetime.end();
        held.remove(lifetime);
    }

    private Lifetime hold(String name) {
        Lifetime lifetime = new Lifetime(this, name);
        held.add(lifetime);
        return lifetime;
    }

    void close() {
        held.forEach(Lifetime::end);
        held.clear();
    }

    ReferenceTensor of(Tensor tensor) {
        if (!(tensor instanceof ReferenceTensor t)) {
            throw new IllegalArgumentException(
                    tensor.getClass().getName() + " is a tensor of another backend; copy its values over");
        }
        t.lifetime.check(this);
        return t;
    }

    ReferenceInts of(IntTensor tensor) {
        if (!(tensor instanceof ReferenceInts t)) {
            throw new IllegalArgumentException(
                    tensor.getClass().getName() + " is a vector of another backend; copy its values over");
        }
        t.lifetime.check(this);
        return t;
    }

    /** The exact number of rows. */
    int rows(Extent extent) {
        if (extent.isExact()) {
            return extent.bound();
        }
        int count = of(extent.count().get()).get(0);
        if (count < 0 || count > extent.bound()) {
            throw new IllegalStateException(
                    "a count of " + count + " rows is not between 0 and the bound " + extent.bound());
        }
        return count;
    }
}
