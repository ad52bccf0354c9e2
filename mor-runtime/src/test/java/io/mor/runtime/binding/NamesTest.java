package io.mor.runtime.binding;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class NamesTest {

    @Test
    void camelCaseBecomesKebabCase() {
        assertEquals("kv-heads", Names.kebabCase("kvHeads"));
        assertEquals("beta1", Names.kebabCase("beta1"));
        assertEquals("top-k", Names.kebabCase("topK"));
        assertEquals("layer2-norm", Names.kebabCase("layer2Norm"));
    }

    @Test
    void theNearestNameIsTheOneWithTheFewestEdits() {
        List<String> names = List.of("learning-rate", "steps", "batch", "beta1", "beta2");
        assertEquals(Optional.of("learning-rate"), Names.nearest("learnig-rate", names));
        assertEquals(Optional.of("learning-rate"), Names.nearest("learning_rate", names));
        assertEquals(Optional.of("steps"), Names.nearest("setps", names));
        assertEquals(Optional.of("beta1"), Names.nearest("beta", names));
        assertEquals(Optional.empty(), Names.nearest("zzzzz", names));
        assertEquals(Optional.empty(), Names.nearest("x", List.of()));
    }

    @Test
    void distancesCountSwapsOnce() {
        assertEquals(1, Names.distance("ab", "ba"));
        assertEquals(0, Names.distance("A_b", "a-b"));
        assertEquals(3, Names.distance("", "abc"));
        assertEquals(3, Names.distance("kitten", "sitting"));
    }
}
