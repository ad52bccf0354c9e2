package io.mor.backend.reference;

import io.mor.api.backend.EntryTables;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;

/** Kernels over generation's entry tables. */
final class EntryKernels extends KernelFamily {

    EntryKernels(Memory memory) {
        super(memory);
    }

    void appendEntries(
            IntTensor poolRow,
            EntryTables tables,
            IntTensor sequence,
            IntTensor position,
            IntTensor recursion,
            Extent extent) {
        EntryTableKernels kernels = entryTableKernels(tables);
        for (int row = 0; row < rows(extent); row++) {
            of(poolRow)
                    .set(
                            row,
                            kernels.append(
                                    of(sequence).get(row),
                                    of(position).get(row),
                                    of(recursion).get(row)));
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
        for (int row = 0; row < rows(extent); row++) {
            of(start)
                    .set(
                            row,
                            kernels.start(
                                    of(sequence).get(row),
                                    of(position).get(row),
                                    of(recursion).get(row)));
            of(end).set(
                            row,
                            kernels.end(
                                    of(sequence).get(row),
                                    of(position).get(row),
                                    of(recursion).get(row)));
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
