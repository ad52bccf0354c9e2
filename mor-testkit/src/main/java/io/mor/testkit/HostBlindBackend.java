package io.mor.testkit;

import io.mor.api.backend.Backend;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;

/**
 * A backend around another that is like a device far away: while a {@linkplain #blind blind section} is open every transfer to the
 * host throws, so code that passes never reads a device value within a step; and after every kernel the rows of its results between
 * count and bound hold NaN (integers: 0x3fffffff, out of every bound), so results that depend on them show.
 *
 * <p>Thread safety: one thread.
 */
public final class HostBlindBackend extends InterceptedBackend {

    /** What integers beyond a count hold. */
    public static final int UNUSED_INTEGER = 0x3fff_ffff;

    private int openSections;

    /** Around a backend, which it owns. */
    public HostBlindBackend(Backend delegate) {
        super(delegate);
    }

    /** A time in which nothing may be read. */
    public interface BlindSection extends AutoCloseable {
        /** Ends it; once. */
        @Override
        void close();
    }

    /** Opens a blind section, {@code try (BlindSection _ = backend.blind()) {...}}; sections may be nested. */
    public BlindSection blind() {
        openSections++;
        boolean[] open = {true};
        return () -> {
            if (open[0]) {
                open[0] = false;
                openSections--;
            }
        };
    }

    @Override
    public float[] readFloats(Tensor tensor) {
        requireSight("readFloats of a tensor " + KernelCall.shape(tensor));
        return super.readFloats(tensor);
    }

    @Override
    public double[] readDoubles(Tensor tensor) {
        requireSight("readDoubles of a tensor " + KernelCall.shape(tensor));
        return super.readDoubles(tensor);
    }

    @Override
    public int[] readInts(IntTensor tensor) {
        requireSight("readInts of " + tensor.length() + " integers");
        return super.readInts(tensor);
    }

    private void requireSight(String what) {
        if (openSections > 0) {
            throw new IllegalStateException(
                    what
                            + " in a blind section: code of a step must not read device values; pass them on to a kernel, or read after the step");
        }
    }

    @Override
    void around(KernelCall call, Runnable kernel) {
        kernel.run();
        if (call.isDefinedToTheBound()) {
            return;
        }
        for (KernelCall.Operand operand : call.operands()) {
            if (operand.written()) {
                switch (operand) {
                    case KernelCall.TensorOperand tensor -> spoil(tensor.handle());
                    case KernelCall.IntOperand ints -> ints.used().ifPresent(extent -> spoil(ints.handle(), extent));
                }
            }
        }
    }

    private void spoil(Tensor tensor) {
        int first = rows(tensor.extent());
        int unused = tensor.rows() - first;
        if (unused > 0) {
            delegate.fill(delegate.view(tensor, first, Extent.exact(unused), tensor.columns()), Double.NaN);
        }
    }

    private void spoil(IntTensor ints, Extent extent) {
        int first = rows(extent);
        int unused = extent.bound() - first;
        if (unused > 0) {
            delegate.fill(delegate.view(ints, first, unused), UNUSED_INTEGER);
        }
    }

    private int rows(Extent extent) {
        return extent.isExact()
                ? extent.bound()
                : delegate.readInts(extent.count().get())[0];
    }
}
