package io.mor.backend.reference;

import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import java.util.Arrays;

/** Values between tensors and Java arrays. */
final class Transfers extends KernelFamily {

    Transfers(Memory memory) {
        super(memory);
    }

    void write(Tensor tensor, float[] values) {
        ReferenceTensor t = of(tensor);
        requireLength(t.size(), values.length, t);
        for (int i = 0; i < values.length; i++) {
            t.values[t.offset + i] = values[i];
        }
    }

    void write(Tensor tensor, double[] values) {
        ReferenceTensor t = of(tensor);
        requireLength(t.size(), values.length, t);
        System.arraycopy(values, 0, t.values, t.offset, values.length);
    }

    void write(IntTensor tensor, int[] values) {
        ReferenceInts t = of(tensor);
        requireLength(t.length(), values.length, t);
        System.arraycopy(values, 0, t.values, t.offset, values.length);
    }

    float[] readFloats(Tensor tensor) {
        double[] values = readDoubles(tensor);
        float[] floats = new float[values.length];
        for (int i = 0; i < values.length; i++) {
            floats[i] = (float) values[i];
        }
        return floats;
    }

    double[] readDoubles(Tensor tensor) {
        ReferenceTensor t = of(tensor);
        return Arrays.copyOfRange(t.values, t.offset, t.offset + t.size());
    }

    int[] readInts(IntTensor tensor) {
        ReferenceInts t = of(tensor);
        return Arrays.copyOfRange(t.values, t.offset, t.offset + t.length());
    }

    private static void requireLength(int expected, int given, Object target) {
        if (expected != given) {
            throw new IllegalArgumentException(
                    given + " values do not fill " + target + ", which has " + expected + " elements");
        }
    }
}
