package io.mor.backend.reference;

import io.mor.api.tensor.Comparison;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import io.mor.api.tensor.Unary;
import java.util.Arrays;

/** Kernels that treat each element alone. */
final class ElementwiseKernels extends KernelFamily {

    ElementwiseKernels(Memory memory) {
        super(memory);
    }

    void fill(Tensor out, double value) {
        ReferenceTensor o = of(out);
        Arrays.fill(o.values, o.offset, o.offset + o.size(), value);
    }

    void fill(IntTensor out, int value) {
        ReferenceInts o = of(out);
        Arrays.fill(o.values, o.offset, o.offset + o.length(), value);
    }

    void copy(Tensor out, Tensor x) {
        ReferenceTensor from = of(x);
        eachElement(out, false, from::get);
    }

    void affine(Tensor out, Tensor x, double scale, double shift, boolean accumulate) {
        ReferenceTensor from = of(x);
        eachElement(out, accumulate, (row, column) -> scale * from.get(row, column) + shift);
    }

    void add(Tensor out, Tensor a, Tensor b, double scaleB) {
        ReferenceTensor left = of(a);
        ReferenceTensor right = of(b);
        eachElement(out, false, (row, column) -> left.get(row, column) + scaleB * right.get(row, column));
    }

    void multiply(Tensor out, Tensor a, Tensor b, boolean accumulate) {
        ReferenceTensor left = of(a);
        ReferenceTensor right = of(b);
        eachElement(out, accumulate, (row, column) -> left.get(row, column) * right.get(row, column));
    }

    void unary(Tensor out, Unary function, Tensor x) {
        ReferenceTensor from = of(x);
        eachElement(out, false, (row, column) -> Functions.value(function, from.get(row, column)));
    }

    void unaryBackward(Tensor dx, Unary function, Tensor x, Tensor y, Tensor dy, boolean accumulate) {
        ReferenceTensor argument = of(x);
        ReferenceTensor value = of(y);
        ReferenceTensor gradient = of(dy);
        eachElement(
                dx,
                accumulate,
                (row, column) -> Functions.derivative(function, argument.get(row, column), value.get(row, column))
                        * gradient.get(row, column));
    }

    void compare(Tensor out, Tensor x, Comparison comparison, Tensor row) {
        ReferenceTensor left = of(x);
        ReferenceTensor right = of(row);
        eachElement(
                out,
                false,
                (i, column) -> Functions.holds(left.get(i, column), comparison, right.get(0, column)) ? 1 : 0);
    }

    void compareElements(Tensor out, Tensor a, Comparison comparison, Tensor b) {
        ReferenceTensor left = of(a);
        ReferenceTensor right = of(b);
        eachElement(
                out,
                false,
                (row, column) -> Functions.holds(left.get(row, column), comparison, right.get(row, column)) ? 1 : 0);
    }
}
