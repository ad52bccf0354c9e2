package io.mor.backend.cuda;

import io.mor.api.backend.EntryTables;
import io.mor.api.cache.KvVisit;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Generation's entry tables. */
final class EntryKernels extends KernelFamily {

    private final Map<List<KvVisit>, Long> visitTables = new HashMap<>();

    EntryKernels(CudaContext context) {
        super(context);
    }

    void appendEntries(
            IntTensor poolRow,
            EntryTables tables,
            IntTensor sequence,
            IntTensor position,
            IntTensor recursion,
            Extent extent) {
        if (extent.bound() == 0) {
            return;
        }
        long visits = visitTable(tables);
        long grown = scratch(4L * extent.bound());
        kernel("appendEntries")
                .pointer(target(poolRow))
                .pointer(grown)
                .pointer(visits)
                .integer(tables.recursions())
                .integer(tables.capacity())
                .pointer(target(tables.rows()))
                .pointer(target(tables.positions()))
                .pointer(address(tables.length()))
                .pointer(address(tables.reserved()))
                .pointer(address(tables.written()))
                .pointer(address(sequence))
                .pointer(address(position))
                .pointer(address(recursion))
                .integer(extent.bound())
                .pointer(count(extent))
                .overElements(extent.bound());
        kernel("advanceEntries")
                .pointer(grown)
                .pointer(visits)
                .integer(tables.recursions())
                .pointer(target(tables.length()))
                .pointer(target(tables.written()))
                .pointer(address(sequence))
                .pointer(address(recursion))
                .integer(extent.bound())
                .pointer(count(extent))
                .overElements(extent.bound());
        if (tables.visits().stream().anyMatch(KvVisit::overlays)) {
            kernel("overlayEntries")
                    .pointer(address(poolRow))
                    .pointer(visits)
                    .integer(tables.recursions())
                    .integer(tables.capacity())
                    .pointer(target(tables.rows()))
                    .pointer(address(tables.positions()))
                    .pointer(address(tables.length()))
                    .pointer(address(sequence))
                    .pointer(address(position))
                    .pointer(address(recursion))
                    .integer(extent.bound())
                    .pointer(count(extent))
                    .overElements(extent.bound());
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
        kernel("entryRanges")
                .pointer(target(start))
                .pointer(target(end))
                .pointer(visitTable(tables))
                .integer(tables.recursions())
                .integer(tables.capacity())
                .pointer(address(tables.positions()))
                .pointer(address(tables.length()))
                .pointer(address(sequence))
                .pointer(address(position))
                .pointer(address(recursion))
                .integer(extent.bound())
                .pointer(count(extent))
                .overElements(extent.bound());
    }

    /** The visits on the device, {@code [recursions, 4]}: writes, source, overlays, window. */
    private long visitTable(EntryTables tables) {
        return visitTables.computeIfAbsent(tables.visits(), this::upload);
    }

    private long upload(List<KvVisit> visits) {
        int[] table = new int[4 * visits.size()];
        for (int i = 0; i < visits.size(); i++) {
            KvVisit visit = visits.get(i);
            table[4 * i] = visit.writes() ? 1 : 0;
            table[4 * i + 1] = visit.source();
            table[4 * i + 2] = visit.overlays() ? 1 : 0;
            table[4 * i + 3] = visit.window();
        }
        context.device.makeCurrent();
        long address =
                context.memory.allocate(4L * table.length, "table of visits").address();
        context.transfers.write(address, table);
        return address;
    }
}
