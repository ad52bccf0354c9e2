package io.mor.backend.cpu;

import io.mor.api.tensor.Comparison;
import io.mor.api.tensor.IntTensor;
import io.mor.api.tensor.Tensor;
import io.mor.api.tensor.Unary;
import java.util.Arrays;

/** Kernels that treat each element alone. */
final class ElementwiseKernels extends KernelFamily {

    ElementwiseKernels(Memory memory, Workers workers) {
        super(memory, workers);
    }

    void fill(Tensor out, double value) {
        CpuTensor o = written(out);
        elements(o.size(), (from, to) -> Arrays.fill(o.values(), o.offset() + from, o.offset() + to, (float) value));
    }

    void fill(IntTensor out, int value) {
        CpuInts o = of(out);
        Arrays.fill(o.storage().values(), o.offset(), o.offset() + o.length(), value);
    }

    void copy(Tensor out, Tensor x) {
        CpuTensor o = written(out);
        CpuTensor from = of(x);
        elements(
                rows(out) * o.columns(),
                (first, end) -> System.arraycopy(
                        from.values(), from.offset() + first, o.values(), o.offset() + first, end - first));
    }

    void affine(Tensor out, Tensor x, double scale, double shift, boolean accumulate) {
        CpuTensor o = written(out);
        CpuTensor a = of(x);
        elements(
                rows(out) * o.columns(),
                (from, to) -> Elementwise.affine(
                        o.values(),
                        o.offset() + from,
                        a.values(),
                        a.offset() + from,
                        (float) scale,
                        (float) shift,
                        accumulate,
                        to - from));
    }

    void add(Tensor out, Tensor a, Tensor b, double scaleB) {
        CpuTensor o = written(out);
        CpuTensor x = of(a);
        CpuTensor y = of(b);
        elements(
                rows(out) * o.columns(),
                (from, to) -> Elementwise.add(
                        o.values(),
                        o.offset() + from,
                        x.values(),
                        x.offset() + from,
                        y.values(),
                        y.offset() + from,
                        (float) scaleB,
                        to - from));
    }

    void multiply(Tensor out, Tensor a, Tensor b, boolean accumulate) {
        CpuTensor o = written(out);
        CpuTensor x = of(a);
        CpuTensor y = of(b);
        elements(
                rows(out) * o.columns(),
                (from, to) -> Elementwise.multiply(
                        o.values(),
                        o.offset() + from,
                        x.values(),
                        x.offset() + from,
                        y.values(),
                        y.offset() + from,
                        accumulate,
                        to - from));
    }

    void unary(Tensor out, Unary function, Tensor x) {
        CpuTensor o = written(out);
        CpuTensor a = of(x);
        elements(
                rows(out) * o.columns(),
                (from, to) -> Elementwise.unary(
                        o.values(), o.offset() + from, function, a.values(), a.offset() + from, to - from));
    }

    void unaryBackward(Tensor dx, Unary function, Tensor x, Tensor y, Tensor dy, boolean accumulate) {
        CpuTensor d = written(dx);
        CpuTensor a = of(x);
        CpuTensor b = of(y);
        CpuTensor g = of(dy);
        elements(
                rows(dx) * d.columns(),
                (from, to) -> Elementwise.unaryBackward(
                        d.values(),
                        d.offset() + from,
                        function,
                        a.values(),
                        a.offset() + from,
                        b.values(),
                        b.offset() + from,
                        g.values(),
                        g.offset() + from,
                        accumulate,
                        to - from));
    }

    void compare(Tensor out, Tensor x, Comparison comparison, Tensor row) {
        CpuTensor o = written(out);
        CpuTensor a = of(x);
        CpuTensor b = of(row);
        eachRow(
                rows(out),
                o.columns(),
                i -> Elementwise.compare(
                        o.values(),
                        o.rowOffset(i),
                        a.values(),
                        a.rowOffset(i),
                        comparison,
                        b.values(),
                        b.offset(),
                        o.columns()));
    }

    void compareElements(Tensor out, Tensor a, Comparison comparison, Tensor b) {
        CpuTensor o = written(out);
        CpuTensor x = of(a);
        CpuTensor y = of(b);
        elements(
                rows(out) * o.columns(),
                (from, to) -> Elementwise.compare(
                        o.values(),
                        o.offset() + from,
                        x.values(),
                        x.offset() + from,
                        comparison,
                        y.values(),
                        y.offset() + from,
                        to - from));
    }

    void swiGlu(Tensor out, Tensor gate, Tensor up) {
        CpuTensor o = written(out);
        CpuTensor a = of(gate);
        CpuTensor b = of(up);
        elements(
                rows(out) * o.columns(),
                (from, to) -> Elementwise.swiGlu(
                        o.values(),
                        o.offset() + from,
                        a.values(),
                        a.offset() + from,
                        b.values(),
                        b.offset() + from,
                        to - from));
    }

    void swiGluBackward(Tensor dgate, Tensor dup, Tensor gate, Tensor up, Tensor dy) {
        CpuTensor da = written(dgate);
        CpuTensor db = written(dup);
        CpuTensor a = of(gate);
        CpuTensor b = of(up);
        CpuTensor g = of(dy);
        elements(
                rows(dgate) * da.columns(),
                (from, to) -> Elementwise.swiGluBackward(
                        da.values(),
                        da.offset() + from,
                        db.values(),
                        db.offset() + from,
                        a.values(),
                        a.offset() + from,
                        b.values(),
                        b.offset() + from,
                        g.values(),
                        g.offset() + from,
                        to - from));
    }
}
