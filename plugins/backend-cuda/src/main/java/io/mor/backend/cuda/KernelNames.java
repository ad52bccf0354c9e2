package io.mor.backend.cuda;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The names of the kernels in a source: what follows {@code extern "C" __global__ void}, and what the macros of this backend make. */
final class KernelNames {

    private static final Pattern PLAIN = Pattern.compile(
            "^extern \"C\" __global__ void(?: __launch_bounds__\\(\\d+(?:, *\\d+)?\\))? (\\w+)\\(", Pattern.MULTILINE);
    private static final Pattern ROW = Pattern.compile("^ROW_KERNEL\\((\\w+),", Pattern.MULTILINE);
    private static final Pattern MATMUL = Pattern.compile("^MATMUL\\((\\w+),", Pattern.MULTILINE);

    private static final Pattern FLASH = Pattern.compile("^(?:FLASH|HOPPER)_\\w+\\((\\w+),", Pattern.MULTILINE);
    private static final Pattern VECTOR = Pattern.compile("^VECTOR_KERNEL\\((\\w+),", Pattern.MULTILINE);
    private static final Pattern LOSS = Pattern.compile("^LOSS_KERNEL\\((\\w+),", Pattern.MULTILINE);

    private KernelNames() {}

    static List<String> of(String source) {
        List<String> names = new ArrayList<>();
        for (Matcher plain = PLAIN.matcher(source); plain.find(); ) {
            names.add(plain.group(1));
        }
        for (Matcher row = ROW.matcher(source); row.find(); ) {
            names.add(row.group(1) + "Warp");
            names.add(row.group(1) + "Block");
        }
        for (Matcher matmul = MATMUL.matcher(source); matmul.find(); ) {
            names.add(matmul.group(1));
        }
        for (Matcher flash = FLASH.matcher(source); flash.find(); ) {
            names.add(flash.group(1));
        }
        for (Matcher vector = VECTOR.matcher(source); vector.find(); ) {
            for (int held : new int[] {1, 2, 3, 4, 8}) {
                names.add(vector.group(1) + held);
            }
        }
        for (Matcher loss = LOSS.matcher(source); loss.find(); ) {
            names.add(loss.group(1));
        }
        return names;
    }
}
