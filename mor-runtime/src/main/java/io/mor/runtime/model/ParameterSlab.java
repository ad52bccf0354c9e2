package io.mor.runtime.model;

import io.mor.api.backend.Backend;
import io.mor.api.tensor.Extent;
import io.mor.api.tensor.OptimizerGroup;
import io.mor.api.tensor.Parameter;
import io.mor.api.tensor.Tensor;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The places of parameters of one optimizer group in one piece of memory: one after the other in the order of their declaration, each from a
 * multiple of {@link #ALIGNMENT} elements on. So what treats all elements alike is one call, and weights that are declared one after the other
 * lie one after the other wherever their sizes are multiples of the alignment. Whatever lies between them is zero and stays zero.
 *
 * @param group which all of them belong to
 * @param offsets in the order of the places, the element with which each parameter begins
 * @param elements of the whole, at most {@link #LARGEST} unless a single parameter is larger
 */
public record ParameterSlab(OptimizerGroup group, Map<Parameter, Integer> offsets, int elements) {

    /** Elements to a multiple of which parameters begin: 256 bytes in single precision. */
    public static final int ALIGNMENT = 64;

    /** Elements of a slab; a group that has more is cut into several. */
    public static final int LARGEST = 1 << 30;

    /** Keeps the order. */
    public ParameterSlab {
        offsets = Collections.unmodifiableMap(new LinkedHashMap<>(offsets));
    }

    /** The slabs of parameters: groups in the order in which each first comes. */
    static List<ParameterSlab> of(List<Parameter> parameters) {
        Map<OptimizerGroup, List<Parameter>> groups = new LinkedHashMap<>();
        parameters.forEach(parameter -> groups.computeIfAbsent(parameter.group(), group -> new ArrayList<>())
                .add(parameter));
        List<ParameterSlab> slabs = new ArrayList<>();
        groups.forEach((group, members) -> addSlabs(slabs, group, members));
        return List.copyOf(slabs);
    }

    private static void addSlabs(List<ParameterSlab> slabs, OptimizerGroup group, List<Parameter> members) {
        Map<Parameter, Integer> offsets = new LinkedHashMap<>();
        long end = 0;
        for (Parameter parameter : members) {
            long size = (long) parameter.rows() * parameter.columns();
            if (size > Integer.MAX_VALUE - ALIGNMENT) {
                throw new IllegalArgumentException("parameter " + parameter.name() + " [" + parameter.rows() + ", "
                        + parameter.columns() + "] has more elements than one matrix can hold");
            }
            long next = (end + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
            if (!offsets.isEmpty() && next + size > LARGEST) {
                slabs.add(new ParameterSlab(group, offsets, (int) end));
                offsets = new LinkedHashMap<>();
                next = 0;
            }
            offsets.put(parameter, (int) next);
            end = next + size;
        }
        slabs.add(new ParameterSlab(group, offsets, (int) end));
    }

    /** Memory of this layout, all zero: {@code [elements, 1]}. */
    public Tensor allocate(Backend backend) {
        Tensor memory = backend.allocate(elements, 1);
        backend.fill(memory, 0);
        return memory;
    }

    /** Each parameter's part of memory of this layout, {@code [rows, columns]}; owns nothing. */
    public Map<Parameter, Tensor> views(Backend backend, Tensor memory) {
        Map<Parameter, Tensor> views = new LinkedHashMap<>();
        offsets.forEach((parameter, offset) -> {
            Tensor column = backend.view(memory, offset, Extent.exact(parameter.rows() * parameter.columns()), 1);
            views.put(parameter, backend.view(column, 0, Extent.exact(parameter.rows()), parameter.columns()));
        });
        return views;
    }
}
