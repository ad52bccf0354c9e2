package io.mor.testkit;

import io.mor.api.backend.Backend;
import io.mor.api.backend.Precision;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.WeakHashMap;

/**
 * A backend around another that checks what kernels may trust: shapes and extents fit, counts and indices are in bounds, memory is
 * live and this backend's own, results do not overlap operands where the kernel does not allow it, nothing is released twice, and at
 * {@link #close} nothing is left. Every broken rule is an {@link AssertionError} that names the kernel and the operand.
 *
 * <p>It reads counts and indices back, so it is slow, and it goes inside a {@link HostBlindBackend}, not around it. Thread safety: one
 * thread.
 */
public class AssertingBackend extends InterceptedBackend {

    private final boolean leaksAllowed;
    private final Map<Object, Region> regions = new WeakHashMap<>(); // by handle: handles are equal by identity alone
    private final Set<Allocation> held = new LinkedHashSet<>(); // by identity
    private boolean closed;

    /** Around a backend, which it owns. */
    public AssertingBackend(Backend delegate) {
        this(delegate, false);
    }

    private AssertingBackend(Backend delegate, boolean leaksAllowed) {
        super(delegate);
        this.leaksAllowed = leaksAllowed;
    }

    /** Around a backend whose user leaves it to {@link #close} to free memory. */
    public static AssertingBackend allowingLeaks(Backend delegate) {
        return new AssertingBackend(delegate, true);
    }

    /** Memory that was asked for once. */
    private static final class Allocation {
        private final String name;
        private final Throwable origin;
        private boolean released;

        Allocation(String name) {
            this.name = name;
            this.origin = new Throwable(name + " was allocated here");
        }
    }

    /** The part of an allocation that a handle means, in elements. */
    private record Region(Allocation allocation, long first, long size, boolean isView) {

        boolean overlaps(Region other) {
            boolean bothHaveElements = size > 0 && other.size > 0;
            return allocation == other.allocation
                    && bothHaveElements
                    && first < other.first + other.size
                    && other.first < first + size;
        }

        boolean isSameAs(Region other) {
            return allocation == other.allocation && first == other.first && size == other.size;
        }
    }

    /** What is held: one line for every allocation that was not released. */
    public List<String> held() {
        return held.stream().map(allocation -> allocation.name).toList();
    }

    // ---- memory

    @Override
    public Tensor allocate(int rows, int columns) {
        return allocate(rows, columns, precision());
    }

    @Override
    public Tensor allocate(int rows, int columns, Precision precision) {
        requireOpen("allocate");
        Tensor tensor = super.allocate(rows, columns, precision);
        if (tensor.rows() != rows
                || tensor.columns() != columns
                || !tensor.extent().isExact()) {
            throw new AssertionError(
                    "allocate: asked for [" + rows + ", " + columns + "] and got " + KernelCall.shape(tensor));
        }
        hold(tensor, "tensor " + KernelCall.shape(tensor), (long) rows * columns);
        return tensor;
    }

    @Override
    public IntTensor allocateInts(int length) {
        requireOpen("allocateInts");
        IntTensor ints = super.allocateInts(length);
        hold(ints, "ints [" + length + "]", length);
        return ints;
    }

    private void hold(Object handle, String name, long size) {
        Allocation allocation = new Allocation(name);
        held.add(allocation);
        regions.put(handle, new Region(allocation, 0, size, false));
    }

    @Override
    public Tensor view(Tensor base, int firstRow, Extent extent, int columns) {
        requireOpen("view");
        Region region = live("view", "base", base);
        extent.count().ifPresent(count -> live("view", "the extent's count", count));
        long first = (long) firstRow * columns;
        long size = (long) extent.bound() * columns;
        if (columns < 1 || firstRow < 0 || first + size > region.size()) {
            throw new AssertionError("view: [" + extent.bound() + ", " + columns + "] from row " + firstRow
                    + " does not lie within base " + KernelCall.shape(base));
        }
        Tensor view = super.view(base, firstRow, extent, columns);
        regions.put(view, new Region(region.allocation(), region.first() + first, size, true));
        return view;
    }

    @Override
    public IntTensor view(IntTensor base, int first, int length) {
        requireOpen("view");
        Region region = live("view", "base", base);
        if (first < 0 || length < 0 || (long) first + length > region.size()) {
            throw new AssertionError("view: " + length + " elements from element " + first + " do not lie within base ["
                    + base.length() + "]");
        }
        IntTensor view = super.view(base, first, length);
        regions.put(view, new Region(region.allocation(), region.first() + first, length, true));
        return view;
    }

    @Override
    public void release(Tensor tensor) {
        releaseOnce(tensor);
        super.release(tensor);
    }

    @Override
    public void release(IntTensor tensor) {
        releaseOnce(tensor);
        super.release(tensor);
    }

    private void releaseOnce(Object handle) {
        Region region = regions.get(handle);
        if (region == null) {
            throw new AssertionError("release: the handle was not allocated by this backend");
        }
        if (region.isView()) {
            throw new AssertionError(
                    "release: a view of " + region.allocation().name + " owns nothing; release what it views");
        }
        if (region.allocation().released) {
            throw new AssertionError(
                    "release: " + region.allocation().name + " was released twice", region.allocation().origin);
        }
        region.allocation().released = true;
        held.remove(region.allocation());
    }

    /**
     * Closes the backend.
     *
     * @throws AssertionError if something was not released: leaks are listed, the suppressed ones show where they were allocated
     */
    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        super.close();
        if (!held.isEmpty() && !leaksAllowed) {
            AssertionError leaks = new AssertionError(
                    "close: " + held.size() + " allocations were never released: " + String.join(", ", held()));
            held.stream().limit(10).forEach(allocation -> leaks.addSuppressed(allocation.origin));
            throw leaks;
        }
    }

    private void requireOpen(String kernel) {
        if (closed) {
            throw new AssertionError(kernel + ": the backend is closed");
        }
    }

    // ---- kernels

    /** An operand with the memory that it and its count are. */
    private record Placed(KernelCall.Operand operand, Region region, Optional<Region> count) {}

    @Override
    void around(KernelCall call, Runnable kernel) {
        requireOpen(call.kernel());
        List<Placed> operands = new ArrayList<>(call.operands().size());
        for (KernelCall.Operand operand : call.operands()) {
            Region region = live(call.kernel(), operand.name(), operand.handle());
            Optional<IntTensor> count = countOf(operand);
            operands.add(new Placed(
                    operand,
                    region,
                    count.isPresent()
                            ? Optional.of(liveCount(call.kernel(), operand.name(), count.get()))
                            : Optional.empty()));
        }
        for (String violation : call.violations()) {
            throw new AssertionError(call.kernel() + ": " + violation);
        }
        call.sameRows().forEach(pair -> requireSameRows(call.kernel(), pair));
        checkOverlaps(call, operands);
        for (KernelCall.Operand operand : call.operands()) {
            if (operand instanceof KernelCall.TensorOperand tensor
                    && !tensor.handle().extent().isExact()) {
                rows(call.kernel(), operand.name(), tensor.handle().extent());
            }
        }
        call.indices().forEach(indices -> checkIndices(call.kernel(), indices));
        kernel.run();
    }

    private Region live(String kernel, String name, Object handle) {
        Region region = regions.get(handle);
        if (region == null) {
            throw new AssertionError(kernel + ": " + name + " was not allocated by this backend");
        }
        if (region.allocation().released) {
            throw new AssertionError(
                    kernel + ": " + name + " is used after " + region.allocation().name + " was released",
                    region.allocation().origin);
        }
        return region;
    }

    private Region liveCount(String kernel, String name, IntTensor count) {
        Region region = regions.get(count);
        boolean usable = region != null && !region.allocation().released;
        return usable ? region : live(kernel, "the count of " + name, count);
    }

    private static Optional<IntTensor> countOf(KernelCall.Operand operand) {
        return switch (operand) {
            case KernelCall.TensorOperand tensor -> tensor.handle().extent().count();
            case KernelCall.IntOperand ints -> ints.used().flatMap(Extent::count);
        };
    }

    /** The same bound, and the same element of the same memory as count. */
    private void requireSameRows(String kernel, KernelCall.SameRows pair) {
        Extent one = pair.first();
        Extent other = pair.second();
        if (one.bound() != other.bound()) {
            throw notTheSameRows(kernel, pair, "must have the same rows, not " + one.bound() + " and " + other.bound());
        }
        if (one.isExact() != other.isExact()) {
            throw notTheSameRows(
                    kernel,
                    pair,
                    "must have the same extent; only " + (one.isExact() ? pair.secondName() : pair.firstName())
                            + " is counted");
        }
        if (!one.isExact()) {
            Region first = liveCount(kernel, pair.firstName(), one.count().get());
            Region second = liveCount(kernel, pair.secondName(), other.count().get());
            if (first.allocation() != second.allocation() || first.first() != second.first()) {
                throw notTheSameRows(kernel, pair, "have counts in different places");
            }
        }
    }

    private static AssertionError notTheSameRows(String kernel, KernelCall.SameRows pair, String what) {
        return new AssertionError(kernel + ": " + pair.firstName() + " and " + pair.secondName() + " " + what);
    }

    private static void checkOverlaps(KernelCall call, List<Placed> operands) {
        for (Placed out : operands) {
            if (!out.operand().written()) {
                continue;
            }
            for (Placed other : operands) {
                if (out != other && out.region().overlaps(other.region())) {
                    boolean allowed = call.inputsMayBeOverwritten()
                            && !other.operand().written()
                            && out.region().isSameAs(other.region());
                    if (!allowed) {
                        throw new AssertionError(call.kernel() + ": "
                                + out.operand().name() + " overlaps "
                                + other.operand().name() + (call.inputsMayBeOverwritten() ? " in part" : ""));
                    }
                }
                // compact writes its result's own count
                boolean ownCount = other.operand().written()
                        && countOf(other.operand())
                                .filter(count -> count == out.operand().handle())
                                .isPresent();
                if (other.count().isPresent()
                        && !ownCount
                        && out.region().overlaps(other.count().get())) {
                    throw new AssertionError(
                            call.kernel() + ": " + out.operand().name() + " overlaps the count of "
                                    + other.operand().name());
                }
            }
        }
    }

    private int rows(String kernel, String name, Extent extent) {
        if (extent.isExact()) {
            return extent.bound();
        }
        int count = delegate.readInts(extent.count().get())[0];
        if (count < 0 || count > extent.bound()) {
            throw new AssertionError(kernel + ": the count of " + name + " is " + count
                    + ", not between 0 and the bound " + extent.bound());
        }
        return count;
    }

    private void checkIndices(String kernel, KernelCall.Indices indices) {
        int rows = rows(kernel, indices.name(), indices.used());
        int[] values = delegate.readInts(indices.handle());
        BitSet seen = new BitSet();
        for (int row = 0; row < rows; row++) {
            int value = values[row];
            if (value < indices.low() || value >= indices.high()) {
                throw new AssertionError(kernel + ": " + indices.name() + "[" + row + "] is " + value + ", not between "
                        + Math.max(0, indices.low()) + " and " + (indices.high() - 1));
            }
            if (indices.distinct() && value >= 0) {
                if (seen.get(value)) {
                    throw new AssertionError(kernel + ": " + indices.name() + "[" + row + "] repeats " + value);
                }
                seen.set(value);
            }
        }
    }
}
