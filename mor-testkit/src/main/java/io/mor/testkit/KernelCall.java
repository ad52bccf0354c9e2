package io.mor.testkit;

import io.mor.api.tensor.AttentionRanges;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * One call of a kernel as a wrapper sees it: which operands it reads and writes and what must hold of them. {@link InterceptedBackend}
 * describes every kernel once; the wrappers decide what to do with the description.
 */
final class KernelCall {

    private final String kernel;
    private final List<Operand> operands = new ArrayList<>();
    private final List<SameRows> sameRows = new ArrayList<>();
    private final List<Indices> indices = new ArrayList<>();
    private final List<String> violations = new ArrayList<>();
    private boolean mayOverwriteInputs;
    private boolean fillsToTheBound;

    KernelCall(String kernel) {
        this.kernel = kernel;
    }

    /** A tensor or a vector in a role. */
    sealed interface Operand {
        String name();

        boolean written();

        Object handle();
    }

    /** A tensor. */
    record TensorOperand(String name, boolean written, Tensor handle) implements Operand {}

    /**
     * A vector.
     *
     * @param used the elements in use; empty for all
     */
    record IntOperand(String name, boolean written, IntTensor handle, Optional<Extent> used) implements Operand {}

    /** Two extents that must be the same. */
    record SameRows(String firstName, Extent first, String secondName, Extent second) {}

    /**
     * Integers that must lie in {@code low .. high - 1}.
     *
     * @param distinct whether each may come once only, negative ones apart
     */
    record Indices(String name, IntTensor handle, Extent used, int low, int high, boolean distinct) {}

    // ---- describing

    KernelCall reads(String name, Tensor tensor) {
        operands.add(new TensorOperand(name, false, tensor));
        return this;
    }

    KernelCall writes(String name, Tensor tensor) {
        operands.add(new TensorOperand(name, true, tensor));
        return this;
    }

    KernelCall reads(String name, IntTensor ints) {
        operands.add(new IntOperand(name, false, ints, Optional.empty()));
        return this;
    }

    KernelCall writes(String name, IntTensor ints) {
        operands.add(new IntOperand(name, true, ints, Optional.empty()));
        return this;
    }

    /** Reads an element per row. */
    KernelCall reads(String name, IntTensor ints, Extent rows) {
        operands.add(new IntOperand(name, false, ints, Optional.of(rows)));
        return atLeast(name, ints, rows.bound());
    }

    /** Writes an element per row. */
    KernelCall writes(String name, IntTensor ints, Extent rows) {
        operands.add(new IntOperand(name, true, ints, Optional.of(rows)));
        return atLeast(name, ints, rows.bound());
    }

    /** Reads an element per row that is an index. */
    KernelCall readsIndices(String name, IntTensor ints, Extent rows, int high) {
        indices.add(new Indices(name, ints, rows, 0, high, false));
        return reads(name, ints, rows);
    }

    /** Reads an element per row that is an index coming once; from {@code low}. */
    KernelCall readsDistinctIndices(String name, IntTensor ints, Extent rows, int low, int high) {
        indices.add(new Indices(name, ints, rows, low, high, true));
        return reads(name, ints, rows);
    }

    /** Reads the ranges of attention over so many keys. */
    KernelCall reads(AttentionRanges ranges, Extent queries, int keyRows) {
        int entries = ranges.entryRows().map(IntTensor::length).orElse(keyRows);
        reads("ranges.start", ranges.start(), queries).reads("ranges.end", ranges.end(), queries);
        indices.add(new Indices("ranges.start", ranges.start(), queries, 0, entries + 1, false));
        indices.add(new Indices("ranges.end", ranges.end(), queries, 0, entries + 1, false));
        ranges.entryRows().ifPresent(table -> reads("ranges.entryRows", table));
        return this;
    }

    /** The result may be one of the inputs. */
    KernelCall mayOverwriteInputs() {
        mayOverwriteInputs = true;
        return this;
    }

    /** The kernel is defined for the rows between count and bound too. */
    KernelCall fillsToTheBound() {
        fillsToTheBound = true;
        return this;
    }

    /** Both tensors have the same extent. */
    KernelCall sameRows(String firstName, Tensor first, String secondName, Tensor second) {
        sameRows.add(new SameRows(firstName, first.extent(), secondName, second.extent()));
        return this;
    }

    /** Both tensors have the same extent and columns. */
    KernelCall sameShape(String firstName, Tensor first, String secondName, Tensor second) {
        sameRows(firstName, first, secondName, second);
        return require(
                first.columns() == second.columns(),
                () -> firstName + " " + shape(first) + " and " + secondName + " " + shape(second)
                        + " must have the same columns");
    }

    KernelCall columns(String name, Tensor tensor, int columns) {
        return require(
                tensor.columns() == columns, () -> name + " " + shape(tensor) + " must have " + columns + " columns");
    }

    /** A tensor of exactly these rows and columns. */
    KernelCall shape(String name, Tensor tensor, int rows, int columns) {
        return require(
                tensor.rows() == rows && tensor.columns() == columns,
                () -> name + " " + shape(tensor) + " must be [" + rows + ", " + columns + "]");
    }

    KernelCall atLeast(String name, IntTensor ints, int length) {
        return require(
                ints.length() >= length,
                () -> name + " [" + ints.length() + "] must have at least " + length + " elements");
    }

    /** Of a check that every call makes: what is violated is put into words only where it is. */
    private KernelCall require(boolean holds, Supplier<String> violation) {
        if (!holds) {
            violations.add(violation.get());
        }
        return this;
    }

    KernelCall require(boolean holds, String violation) {
        if (!holds) {
            violations.add(violation);
        }
        return this;
    }

    static String shape(Tensor tensor) {
        return "[" + tensor.rows() + ", " + tensor.columns() + "]";
    }

    // ---- reading the description

    String kernel() {
        return kernel;
    }

    List<Operand> operands() {
        return operands;
    }

    List<SameRows> sameRows() {
        return sameRows;
    }

    List<Indices> indices() {
        return indices;
    }

    List<String> violations() {
        return violations;
    }

    boolean inputsMayBeOverwritten() {
        return mayOverwriteInputs;
    }

    boolean isDefinedToTheBound() {
        return fillsToTheBound;
    }
}
