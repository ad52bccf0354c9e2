package io.mor.runtime.memory;

import io.mor.api.backend.Backend;
import io.mor.api.backend.Precision;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/** Memory with one lifetime: a micro-step's activations, a call's tensors. Closing it ends the life of all of them. One thread. */
public final class Region implements AutoCloseable {

    private final MemorySource source;
    private final List<Tensor> tensors = new ArrayList<>();
    private final List<IntTensor> ints = new ArrayList<>();
    private boolean closed;

    Region(MemorySource source) {
        this.source = source;
    }

    /** The backend whose memory this is. */
    public Backend backend() {
        return source.backend();
    }

    /** Memory for rows of an extent in full precision, contents unspecified. */
    public Tensor allocate(Extent extent, int columns) {
        return allocate(extent, columns, backend().precision());
    }

    /** Memory for exactly {@code rows} rows in full precision, contents unspecified. */
    public Tensor allocate(int rows, int columns) {
        return allocate(rows, columns, backend().precision());
    }

    /** Memory for the result of a layer or its gradient, in the precision in which the backend keeps such; contents unspecified. */
    public Tensor allocateActivation(Extent extent, int columns) {
        return allocate(extent, columns, backend().activationPrecision(columns));
    }

    private Tensor allocate(Extent extent, int columns, Precision precision) {
        Tensor exact = allocate(extent.bound(), columns, precision);
        return extent.isExact() ? exact : backend().view(exact, 0, extent, columns);
    }

    private Tensor allocate(int rows, int columns, Precision precision) {
        checkOpen();
        Tensor tensor = source.take(rows, columns, precision);
        tensors.add(tensor);
        return tensor;
    }

    /** Memory for integers, contents unspecified. */
    public IntTensor allocateInts(int length) {
        checkOpen();
        IntTensor tensor = source.takeInts(length);
        ints.add(tensor);
        return tensor;
    }

    /** Integers with values. */
    public IntTensor ints(int... values) {
        IntTensor tensor = allocateInts(values.length);
        backend().write(tensor, values);
        return tensor;
    }

    private void checkOpen() {
        if (closed) {
            throw new IllegalStateException("memory was asked of a region that is closed");
        }
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        source.giveBack(tensors, ints);
    }
}
