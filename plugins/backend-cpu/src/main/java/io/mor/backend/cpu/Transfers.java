package io.mor.backend.cpu;

import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import java.util.Arrays;

/** Values between tensors and Java arrays. */
final class Transfers extends KernelFamily {

    Transfers(Memory memory, Workers workers) {
        super(memory, workers);
    }

    void write(Tensor tensor, float[] source) {
        CpuTensor t = written(tensor);
        requireLength(t.size(), source.length, t);
        System.arraycopy(source, 0, t.values(), t.offset(), source.length);
    }

    void write(Tensor tensor, double[] source) {
        CpuTensor t = written(tensor);
        requireLength(t.size(), source.length, t);
        for (int i = 0; i < source.length; i++) {
            t.values()[t.offset() + i] = (float) source[i];
        }
    }

    void write(IntTensor tensor, int[] source) {
        CpuInts t = of(tensor);
        requireLength(t.length(), source.length, t);
        System.arraycopy(source, 0, t.storage().values(), t.offset(), source.length);
    }

    float[] readFloats(Tensor tensor) {
        CpuTensor t = of(tensor);
        return Arrays.copyOfRange(t.values(), t.offset(), t.offset() + t.size());
    }

    double[] readDoubles(Tensor tensor) {
        CpuTensor t = of(tensor);
        double[] result = new double[t.size()];
        for (int i = 0; i < result.length; i++) {
            result[i] = t.values()[t.offset() + i];
        }
        return result;
    }

    int[] readInts(IntTensor tensor) {
        CpuInts t = of(tensor);
        return Arrays.copyOfRange(t.storage().values(), t.offset(), t.offset() + t.length());
    }

    private static void requireLength(int expected, int given, Object target) {
        if (expected != given) {
            throw new IllegalArgumentException(
                    given + " values do not fill a " + target + ", which has " + expected + " elements");
        }
    }
}
