package io.mor.backend.cpu;

import io.mor.api.backend.EntryTables;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;

/** Kernels over generation's entry tables. */
final class EntryKernels extends KernelFamily {

    EntryKernels(Memory memory, Workers workers) {
        super(memory, workers);
    }

    void appendEntries(
            IntTensor poolRow,
            EntryTables tables,
            IntTensor sequence,
            IntTensor position,
            IntTensor recursion,
            Extent extent) {
        EntryTableKernels kernels = entryTableKernels(tables);
        CpuInts out = of(poolRow);
        CpuInts sequences = of(sequence);
        CpuInts positions = of(position);
        CpuInts recursions = of(recursion);
        for (int i = 0; i < rows(extent); i++) {
            out.set(i, kernels.append(sequences.get(i), positions.get(i), recursions.get(i)));
        }
    }

    void entryRanges(
            IntTensor start,
            IntTensor end,
            EntryTables tables,
            IntTensor sequence,
            IntTensor position,
            IntTensor recursion,
            Extent extent) {
        EntryTableKernels kernels = entryTableKernels(tables);
        CpuInts first = of(start);
        CpuInts last = of(end);
        CpuInts sequences = of(sequence);
        CpuInts positions = of(position);
        CpuInts recursions = of(recursion);
        for (int i = 0; i < rows(extent); i++) {
            first.set(i, kernels.start(sequences.get(i), positions.get(i), recursions.get(i)));
            last.set(i, kernels.end(sequences.get(i), positions.get(i), recursions.get(i)));
        }
    }

    private EntryTableKernels entryTableKernels(EntryTables tables) {
        return new EntryTableKernels(
                tables.visits(),
                tables.capacity(),
                of(tables.rows()),
                of(tables.positions()),
                of(tables.length()),
                of(tables.reserved()),
                of(tables.written()));
    }
}
