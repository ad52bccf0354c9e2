package io.mor.backend.cuda;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The algorithms that were measured to be the fastest for products, kept in a file of the card and the library's version: every later process on this
 * machine takes the same, so the same product has the same bits. A line is a product, a space, and the algorithm in hexadecimal digits.
 */
final class ProductChoices {

    private static final System.Logger LOG = System.getLogger(ProductChoices.class.getName());

    private final Path file;
    private final Map<String, byte[]> kept = new HashMap<>();
    private boolean writable = true;

    /**
     * What is kept.
     *
     * @param folder beside the compiled kernels
     * @param card the device's name
     * @param version of the library
     */
    ProductChoices(Path folder, String card, long version) {
        this.file = folder.resolve("products-" + card.replaceAll("[^A-Za-z0-9]+", "-") + "-" + version + ".txt");
        try {
            for (String line : Files.isRegularFile(file) ? Files.readAllLines(file) : List.<String>of()) {
                int space = line.indexOf(' ');
                if (space > 0) {
                    kept.put(line.substring(0, space), HexFormat.of().parseHex(line.substring(space + 1)));
                }
            }
        } catch (IOException | IllegalArgumentException damaged) {
            LOG.log(
                    System.Logger.Level.WARNING,
                    file + " cannot be read (" + damaged + "); products are measured again");
            kept.clear();
        }
    }

    /** The algorithm of a product, if it was measured. */
    Optional<byte[]> get(String product) {
        return Optional.ofNullable(kept.get(product));
    }

    /** Whether what is measured can be kept: if not, nothing should be measured, so that the next process chooses the same. */
    boolean isWritable() {
        return writable;
    }

    /** Keeps what was measured. */
    void put(String product, byte[] algorithm) {
        kept.put(product, algorithm);
        try {
            Files.createDirectories(file.getParent());
            Files.writeString(
                    file,
                    product + " " + HexFormat.of().formatHex(algorithm) + System.lineSeparator(),
                    StandardOpenOption.CREATE,
                    StandardOpenOption.APPEND);
        } catch (IOException e) {
            writable = false;
            LOG.log(
                    System.Logger.Level.WARNING,
                    "which products are fast cannot be kept in " + file + " (" + e
                            + "), so no more are measured; set backend.cache-folder to a writable folder");
        }
    }
}
