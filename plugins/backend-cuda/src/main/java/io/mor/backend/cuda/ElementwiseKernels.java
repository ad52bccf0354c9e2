package io.mor.backend.cuda;

import io.mor.api.tensor.Comparison;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.RandomKey;
import io.mor.api.tensor.Tensor;
import io.mor.api.tensor.Unary;
import java.util.Optional;

/** Element-wise kernels. */
final class ElementwiseKernels extends KernelFamily {

    ElementwiseKernels(CudaContext context) {
        super(context);
    }

    void fill(Tensor out, double value) {
        CudaTensor tensor = context.of(out);
        long bytes = tensor.size() * tensor.elementBytes();
        if (tensor.address % 16 == 0 && bytes % 16 == 0) {
            kernel("fillVectors")
                    .pointer(targetBytes(out))
                    .wide(bytes / 16)
                    .real(value)
                    .flag(tensor.isNarrow)
                    .overElements(bytes / 16);
            return;
        }
        kernel("fillFloats")
                .pointer(target(out))
                .wide(elements(out))
                .real(value)
                .overElements(elements(out));
    }

    void fill(IntTensor out, int value) {
        kernel("fillInts")
                .pointer(target(out))
                .wide(out.length())
                .integer(value)
                .overElements(out.length());
    }

    void copy(Tensor out, Tensor x) {
        if (areVectors(out, x)) {
            vectors(kernel("narrowCopy").pointer(targetBytes(out)).pointer(bytes(x)), out)
                    .overElements(vectorCount(out));
            return;
        }
        shape(kernel("copyRows").pointer(target(out)).pointer(address(x)), out).overElements(elements(out));
    }

    void affine(Tensor out, Tensor x, double scale, double shift, boolean accumulate) {
        shape(kernel("affine").pointer(target(out)).pointer(address(x)), out)
                .real(scale)
                .real(shift)
                .flag(accumulate)
                .overElements(elements(out));
    }

    void add(Tensor out, Tensor a, Tensor b, double scaleB) {
        if (areVectors(out, a, b)) {
            vectors(
                            kernel("narrowAdd")
                                    .pointer(targetBytes(out))
                                    .pointer(bytes(a))
                                    .pointer(bytes(b)),
                            out)
                    .real(scaleB)
                    .overElements(vectorCount(out));
            return;
        }
        shape(kernel("add").pointer(target(out)).pointer(address(a)).pointer(address(b)), out)
                .real(scaleB)
                .overElements(elements(out));
    }

    void multiply(Tensor out, Tensor a, Tensor b, boolean accumulate) {
        shape(kernel("multiply").pointer(target(out)).pointer(address(a)).pointer(address(b)), out)
                .flag(accumulate)
                .overElements(elements(out));
    }

    void unary(Tensor out, Unary function, Tensor x) {
        shape(kernel("unary").pointer(target(out)).pointer(address(x)), out)
                .integer(number(function))
                .overElements(elements(out));
    }

    void unaryBackward(Tensor dx, Unary function, Tensor x, Tensor y, Tensor dy, boolean accumulate) {
        shape(
                        kernel("unaryBackward")
                                .pointer(target(dx))
                                .pointer(address(x))
                                .pointer(address(y))
                                .pointer(address(dy)),
                        dx)
                .integer(number(function))
                .flag(accumulate)
                .overElements(elements(dx));
    }

    /** The number under which a function is known to the kernels. */
    private static int number(Unary function) {
        return switch (function) {
            case SIGMOID -> 0;
            case TANH -> 1;
            case SILU -> 2;
            case GELU -> 3;
            case EXP -> 4;
            case LOG -> 5;
            case SQUARE -> 6;
            case SQRT -> 7;
            case RECIPROCAL -> 8;
            case SOFTPLUS -> 9;
        };
    }

    void compare(Tensor out, Tensor x, Comparison comparison, Tensor row) {
        shape(kernel("compareRow").pointer(target(out)).pointer(address(x)).pointer(address(row)), out)
                .integer(number(comparison))
                .overElements(elements(out));
    }

    void compareElements(Tensor out, Tensor a, Comparison comparison, Tensor b) {
        shape(kernel("compareElements").pointer(target(out)).pointer(address(a)).pointer(address(b)), out)
                .integer(number(comparison))
                .overElements(elements(out));
    }

    private static int number(Comparison comparison) {
        return switch (comparison) {
            case GREATER -> 0;
            case AT_LEAST -> 1;
            case EQUAL -> 2;
            case LESS -> 3;
        };
    }

    void uniformRows(Tensor out, RandomKey key, IntTensor high, IntTensor low) {
        kernel("uniformRows")
                .pointer(target(out))
                .pointer(address(high))
                .pointer(address(low))
                .integer(out.rows())
                .pointer(count(out.extent()))
                .wide(key.seed())
                .wide(key.stream())
                .wide(key.step())
                .overElements(out.rows());
    }

    void uniform(Tensor out, RandomKey key) {
        shape(kernel("uniform").pointer(target(out)), out)
                .wide(key.seed())
                .wide(key.stream())
                .wide(key.step())
                .overElements(elements(out));
    }

    void swiGlu(Tensor out, Tensor gate, Tensor up) {
        if (areVectors(out, gate, up)) {
            vectors(
                            kernel("narrowSwiGlu")
                                    .pointer(targetBytes(out))
                                    .pointer(bytes(gate))
                                    .pointer(bytes(up)),
                            out)
                    .overElements(vectorCount(out));
            return;
        }
        shape(kernel("swiGlu").pointer(target(out)).pointer(address(gate)).pointer(address(up)), out)
                .overElements(elements(out));
    }

    void swiGluBackward(Tensor dgate, Tensor dup, Tensor gate, Tensor up, Tensor dy) {
        if (areVectors(dgate, dup, gate, up, dy)) {
            swiGluBackward(targetBytes(dgate), targetBytes(dup), gate.columns(), Optional.empty(), gate, up, dy);
            return;
        }
        shape(
                        kernel("swiGluBackward")
                                .pointer(target(dgate))
                                .pointer(target(dup))
                                .pointer(address(gate))
                                .pointer(address(up))
                                .pointer(address(dy)),
                        dgate)
                .overElements(elements(dgate));
    }

    /** Into {@code packed [rows, 2 * columns]}, gate's gradient first in every row; {@code inner}, which may be dy, receives what is gated. */
    void packedSwiGluBackward(Tensor packed, Optional<Tensor> inner, Tensor gate, Tensor up, Tensor dy) {
        long target = targetBytes(packed);
        swiGluBackward(target, target + 2L * gate.columns(), packed.columns(), inner, gate, up, dy);
    }

    private void swiGluBackward(
            long dgate, long dup, int pitch, Optional<Tensor> inner, Tensor gate, Tensor up, Tensor dy) {
        vectors(
                        kernel("narrowSwiGluBackward")
                                .pointer(dgate)
                                .pointer(dup)
                                .pointer(inner.isEmpty() ? 0 : targetBytes(inner.get()))
                                .pointer(bytes(gate))
                                .pointer(bytes(up))
                                .pointer(bytes(dy)),
                        gate)
                .integer(pitch / 8)
                .overElements(vectorCount(gate));
    }
}
