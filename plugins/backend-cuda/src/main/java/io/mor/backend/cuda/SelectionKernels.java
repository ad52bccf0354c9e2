package io.mor.backend.cuda;

import io.mor.api.tensor.Extent;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Reduction;
import io.mor.api.tensor.Tensor;

/** Selection: top-k, groups, compaction. */
final class SelectionKernels extends KernelFamily {

    private final ElementwiseKernels elementwise;

    SelectionKernels(CudaContext context, ElementwiseKernels elementwise) {
        super(context);
        this.elementwise = elementwise;
    }

    void topKMask(Tensor out, Tensor scores, IntTensor offsets, IntTensor k) {
        elementwise.fill(out, 0);
        int groups = offsets.length() - 1;
        if (groups > 0 && out.rows() > 0) {
            kernel("topKMask")
                    .pointer(target(out))
                    .pointer(address(scores))
                    .pointer(address(offsets))
                    .pointer(address(k))
                    .integer(scores.rows())
                    .pointer(count(scores.extent()))
                    .launch(groups, 1, 1, 1024, 1, 0);
        }
    }

    void reduceGroups(Tensor out, Reduction reduction, Tensor x, IntTensor offsets) {
        if (out.rows() > 0) {
            int number = switch (reduction) {
                case SUM -> 0;
                case MAXIMUM -> 1;
                case MINIMUM -> 2;
            };
            kernel("reduceGroups")
                    .pointer(target(out))
                    .pointer(address(x))
                    .pointer(address(offsets))
                    .integer(out.rows())
                    .pointer(count(out.extent()))
                    .integer(number)
                    .launch(out.rows(), 1, 1, 256, 1, 0);
        }
    }

    void compact(IntTensor index, IntTensor count, Tensor mask) {
        kernel("compact")
                .pointer(target(index))
                .pointer(target(count))
                .pointer(address(mask))
                .integer(mask.rows())
                .pointer(count(mask.extent()))
                .launch(1, 1, 1, 1024, 1, 0);
    }

    void compactOffsets(IntTensor out, IntTensor index, Extent selected, IntTensor offsets) {
        kernel("compactOffsets")
                .pointer(target(out))
                .pointer(address(index))
                .integer(selected.bound())
                .pointer(count(selected))
                .pointer(address(offsets))
                .integer(offsets.length())
                .overElements(offsets.length());
    }
}
