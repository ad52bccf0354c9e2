package io.mor.backend.cuda;

import io.mor.api.backend.AdamWStep;
import io.mor.api.tensor.Tensor;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The optimizer: AdamW, the norm of gradients, clipping. */
final class OptimizerKernels extends KernelFamily {

    private static final int PART = 1 << 16; // elements whose squares one block sums
    private static final int TABLES = 8;

    private final Map<List<Long>, DeviceMemory.Block> partTables = new LinkedHashMap<>();

    private final NormedWeights normedWeights;

    OptimizerKernels(CudaContext context, NormedWeights normedWeights) {
        super(context);
        this.normedWeights = normedWeights;
    }

    /** In two launches, however many tensors there are. */
    void sumOfSquares(Tensor out, List<Tensor> tensors) {
        List<Long> places = new ArrayList<>(2 * tensors.size());
        int parts = 0;
        for (Tensor tensor : tensors) {
            places.add(address(tensor));
            places.add(elements(tensor));
            parts = Math.addExact(parts, Math.toIntExact((elements(tensor) + PART - 1) / PART));
        }
        long partials = scratch(8L * Math.max(1, parts));
        if (parts > 0) {
            DeviceMemory.Block table = partTables.get(places);
            if (table == null) {
                table = upload(places, parts);
            }
            kernel("squaresOfParts").pointer(partials).pointer(table.address()).launch(parts, 1, 1, 256, 1, 0);
        }
        kernel("addSquares")
                .pointer(target(out))
                .pointer(partials)
                .integer(parts)
                .flag(false)
                .launch(1, 1, 1, 256, 1, 0);
    }

    /** Address and number of elements of every part, on the device. */
    private DeviceMemory.Block upload(List<Long> places, int parts) {
        if (partTables.size() == TABLES) {
            List<Long> oldest = partTables.keySet().iterator().next();
            context.memory.release(partTables.remove(oldest));
        }
        int[] table = new int[4 * parts]; // two 8-byte numbers a part, little-endian
        int part = 0;
        for (int i = 0; i < places.size(); i += 2) {
            for (long first = 0; first < places.get(i + 1); first += PART) {
                long address = places.get(i) + 4 * first;
                table[4 * part] = (int) address;
                table[4 * part + 1] = (int) (address >>> 32);
                table[4 * part + 2] = (int) Math.min(PART, places.get(i + 1) - first);
                part++;
            }
        }
        context.device.makeCurrent();
        DeviceMemory.Block block = context.memory.allocate(4L * table.length, "table of what is summed");
        context.transfers.write(block.address(), table);
        partTables.put(places, block);
        return block;
    }

    void sumOfSquares(Tensor out, Tensor x, boolean accumulate) {
        int blocks = Math.clamp((elements(x) + 16383) / 16384, 1, 1024);
        long share = (elements(x) + blocks - 1) / blocks;
        long partials = scratch(8L * blocks);
        shape(kernel("squares").pointer(partials).pointer(address(x)), x)
                .wide(share)
                .launch(blocks, 1, 1, 256, 1, 0);
        kernel("addSquares")
                .pointer(target(out))
                .pointer(partials)
                .integer(blocks)
                .flag(accumulate)
                .launch(1, 1, 1, 256, 1, 0);
    }

    void adamW(
            Tensor parameter,
            Tensor gradient,
            Tensor firstMoment,
            Tensor secondMoment,
            Tensor gradientScale,
            AdamWStep step) {
        CudaTensor weights = context.of(parameter);
        Optional<Long> copy = weights.lifetime.shadow().map(block -> CudaContext.placeIn(block, weights));
        boolean renewsCopy = copy.isPresent() && weights.lifetime.shadowHolds();
        kernel("adamW")
                .pointer(target(parameter))
                .pointer(address(gradient))
                .pointer(target(firstMoment))
                .pointer(target(secondMoment))
                .pointer(renewsCopy ? copy.get() : 0)
                .pointer(address(gradientScale))
                .wide(elements(parameter))
                .real(step.learningRate())
                .real(step.beta1())
                .real(step.beta2())
                .real(step.epsilon())
                .real(step.weightDecay())
                .real(1 - Math.pow(step.beta1(), step.step()))
                .real(1 - Math.pow(step.beta2(), step.step()))
                .real(1 - step.beta1())
                .real(1 - step.beta2())
                .overElements((elements(parameter) + 3) / 4);
        if (renewsCopy) {
            weights.lifetime.shadowed(weights.lifetime.shadow().get());
        }
        normedWeights.renew(weights.lifetime);
    }

    void clipFactor(Tensor out, Tensor sumOfSquares, double maxNorm) {
        kernel("clipFactor")
                .pointer(target(out))
                .pointer(address(sumOfSquares))
                .real(maxNorm)
                .launch(1, 1, 1, 1, 1, 0);
    }
}
