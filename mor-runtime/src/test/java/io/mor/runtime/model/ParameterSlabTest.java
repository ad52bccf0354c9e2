package io.mor.runtime.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.mor.api.tensor.Initializer;
import io.mor.api.tensor.OptimizerGroup;
import io.mor.api.tensor.Parameter;
import java.util.List;
import org.junit.jupiter.api.Test;

class ParameterSlabTest {

    @Test
    void eachGroupIsASlabInTheOrderOfDeclaration() {
        Parameter norm = Parameter.scale("norm", 1, 960);
        Parameter queries = Parameter.weight("q", 960, 960);
        Parameter keys = Parameter.weight("k", 320, 960);
        Parameter values = Parameter.weight("v", 320, 960);
        Parameter second = Parameter.scale("second", 2, 960);
        List<ParameterSlab> slabs = ParameterSlab.of(List.of(norm, queries, keys, values, second));
        assertEquals(2, slabs.size());
        assertEquals(OptimizerGroup.UNDECAYED, slabs.get(0).group());
        assertEquals(List.of(norm, second), List.copyOf(slabs.get(0).offsets().keySet()));
        assertEquals(
                List.of(queries, keys, values),
                List.copyOf(slabs.get(1).offsets().keySet()));
    }

    @Test
    void weightsDeclaredOneAfterTheOtherLieSoThatTheyCanBeOneProduct() {
        Parameter queries = Parameter.weight("q", 960, 960);
        Parameter keys = Parameter.weight("k", 320, 960);
        Parameter values = Parameter.weight("v", 320, 960);
        ParameterSlab slab = ParameterSlab.of(List.of(queries, keys, values)).getFirst();
        assertEquals(0, slab.offsets().get(queries));
        assertEquals(960 * 960, slab.offsets().get(keys));
        assertEquals((960 + 320) * 960, slab.offsets().get(values));
        assertEquals((960 + 320 + 320) * 960, slab.elements());
    }

    @Test
    void parametersOfAnySizeBeginAlignedAndDoNotOverlap() {
        List<Parameter> parameters = List.of(
                Parameter.weight("a", 3, 5),
                Parameter.weight("b", 1, 1),
                Parameter.weight("c", 13, 17),
                Parameter.weight("d", 8, 8),
                Parameter.weight("e", 7, 1));
        ParameterSlab slab = ParameterSlab.of(parameters).getFirst();
        int end = 0;
        for (Parameter parameter : parameters) {
            int offset = slab.offsets().get(parameter);
            assertEquals(0, offset % ParameterSlab.ALIGNMENT, parameter.name());
            assertTrue(offset >= end && offset < end + ParameterSlab.ALIGNMENT, parameter.name() + " at " + offset);
            end = offset + parameter.rows() * parameter.columns();
        }
        assertEquals(end, slab.elements());
    }

    @Test
    void aGroupLargerThanASlabIsCutBetweenParameters() {
        Parameter first = Parameter.weight("first", 1 << 15, 20_000);
        Parameter second = Parameter.weight("second", 1 << 15, 20_000);
        Parameter huge = Parameter.weight("huge", 1 << 15, 60_000);
        Parameter last = Parameter.weight("last", 2, 2);
        List<ParameterSlab> slabs = ParameterSlab.of(List.of(first, second, huge, last));
        assertEquals(
                List.of(List.of(first), List.of(second), List.of(huge), List.of(last)),
                slabs.stream().map(slab -> List.copyOf(slab.offsets().keySet())).toList());
    }

    @Test
    void aParameterThatNoMatrixCanHoldIsNamed() {
        Parameter parameter =
                new Parameter("too.large", 1 << 16, 1 << 15, new Initializer.ModelDefault(), OptimizerGroup.DECAYED);
        IllegalArgumentException failure =
                assertThrows(IllegalArgumentException.class, () -> ParameterSlab.of(List.of(parameter)));
        assertTrue(failure.getMessage().contains("too.large"), failure.getMessage());
    }
}
